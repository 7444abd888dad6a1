/** Redis through the program itself, as a person uses it. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { type RedisServer, redisProgram, startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';

const installed = await redisProgram('installed');

function configure(trial: Trial, server: RedisServer, staging: RedisServer): void {
  const place = (name: string, { url }: RedisServer): string =>
    `  ${name}: { driver: redis, url: "${url}", password: { file: ${trial.path(name)} }, repository: nas }`;
  trial.write('cache', 'cache-password\n');
  trial.write('staging', 'staging-password\n');
  trial.write('key', 'repository-password\n');
  trial.write(
    'holdfast.yaml',
    `repositories:
  nas: { url: ${trial.path('repository')}, password: { file: ${trial.path('key')} } }
sources:
${place('cache', server)}
${place('staging', staging)}
`,
  );
}

test.runIf(installed)(
  'a server is backed up, proven, restored elsewhere and in place, and its file is one restic gives',
  async () => {
    await using server = await startRedis({ password: 'cache-password' });
    await using staging = await startRedis({ password: 'staging-password' });
    await seedRedis(server);
    const trial = new Trial();
    try {
      configure(trial, server, staging);
      await trial.ok('repo', 'init', 'nas');
      await trial.ok('backup', 'cache');
      const { results } = await trial.json<{ results: { proof: object }[] }>('drill', 'cache');
      expect(results[0].proof).toMatchObject({ verdict: 'passed', checksFailed: 0 });
      await trial.ok('restore', 'cache', '--to', 'staging');
      expect(await (await staging.client()).run('GET', 'string')).toEqual(Buffer.from('hello'));
      const client = await server.client();
      await client.run('SET', 'string', 'changed');
      const inPlace = await trial.run(['restore', 'cache', '--in-place']);
      expect(await client.run('GET', 'string')).toEqual(Buffer.from('hello'));
      expect(inPlace.stdout + inPlace.stderr).toContain('is kept in database 15');
      const repository = ['-r', trial.path('repository'), '--password-file', trial.path('key')];
      execFileSync('restic', [...repository, 'restore', 'latest', '--target', trial.path('out')], { env: trial.env });
      execFileSync('redis-check-rdb', [trial.path('out', 'redis', 'dump.rdb')]);
      trial.write('cache', 'wrong-password\n');
      const { status, stdout, stderr } = await trial.run(['backup', 'cache']);
      expect(status).toBe(1);
      expect(stdout + stderr).toContain('the user or password is wrong');
      expect(stdout + stderr).not.toContain('wrong-password');
    } finally {
      trial.dispose();
    }
  },
);
