/** MongoDB through the program itself, as a person uses it, with stand-ins for its servers. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { seedMongo } from '../servers/mongo-data.ts';
import { MongoStandIn } from '../servers/mongo-stand-in.ts';
import { type MongodProgram, mongodStandIn } from '../servers/mongod.ts';

const users = { holdfast: 'right-password' };

function configure(trial: Trial, program: MongodProgram, servers: Readonly<Record<string, MongoStandIn>>): void {
  const lines = Object.entries(servers).map(([name, { url }]) => {
    const address = url.replace('//', '//holdfast@');
    return `  ${name}: { driver: mongodb, url: "${address}", password: { file: ${trial.path('secret')} }, serverProgram: ${program.path}, repository: nas }`;
  });
  trial.write('secret', 'right-password\n');
  trial.write('key', 'repository-password\n');
  trial.write(
    'holdfast.yaml',
    `repositories:
  nas: { url: ${trial.path('repository')}, password: { file: ${trial.path('key')} } }
sources:
${lines.join('\n')}
`,
  );
}

/** Of all processes, as anybody on the machine can read them. */
function commandLines(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n');
}

test('a server is backed up, proven, restored elsewhere and in place, and restic gives its file', async () => {
  await using server = await MongoStandIn.start({ users });
  await using staging = await MongoStandIn.start({ users });
  using program = mongodStandIn();
  seedMongo(server);
  const trial = new Trial();
  try {
    configure(trial, program, { shop: server, staging });
    await trial.ok('repo', 'init', 'nas');
    let seen = '';
    server.after = (name) => {
      if (name === 'getMore') seen += commandLines();
    };
    await trial.ok('backup', 'shop');
    expect(seen).toContain('backup');
    expect(seen).not.toContain('right-password');
    const { results } = await trial.json<{ results: { proof: object }[] }>('drill', 'shop');
    expect(results[0].proof).toMatchObject({ verdict: 'passed', checksFailed: 0 });
    await trial.ok('restore', 'shop', '--to', 'staging');
    expect(staging.store.documents('shop.kinds')).toEqual(server.store.documents('shop.kinds'));
    server.store.write([server.store.setting('bank.left', 0, { balance: 7 })]);
    const inPlace = await trial.run(['restore', 'shop', '--in-place', '--include', 'bank/left']);
    expect(inPlace.stdout + inPlace.stderr).toContain('is kept as bank.left_before_');
    expect(server.store.value('bank.left', 0)?.balance).toBe(100);
    const repository = ['-r', trial.path('repository'), '--password-file', trial.path('key')];
    execFileSync('restic', [...repository, 'restore', 'latest', '--target', trial.path('out')], { env: trial.env });
    const input = readFileSync(trial.path('out', 'mongodb', 'dump.archive'));
    const judge = new URL('../servers/read-archive.py', import.meta.url).pathname;
    expect(execFileSync('/usr/bin/python3', [judge], { input, encoding: 'utf8', maxBuffer: 1 << 24 })).toContain(
      '"ended"',
    );
  } finally {
    trial.dispose();
  }
});

test('a backup that is killed, cut or refused leaves no snapshot, and the next one is whole', async () => {
  await using server = await MongoStandIn.start({ users });
  using program = mongodStandIn();
  seedMongo(server);
  const trial = new Trial();
  const count = async (): Promise<number> => (await trial.json<{ snapshots: object[] }>('snapshots')).snapshots.length;
  try {
    configure(trial, program, { shop: server });
    await trial.ok('repo', 'init', 'nas');
    let kill = (): void => {};
    server.fault = (name) => void (name === 'getMore' && kill());
    const killed = await trial.run(['backup', 'shop'], (child) => {
      kill = () => void child.kill('SIGKILL');
    });
    expect(killed.status).toBeNull();
    server.fault = (name) => (name === 'getMore' ? 'cut' : undefined);
    const cut = await trial.run(['backup', 'shop']);
    expect(cut.status).toBe(1);
    expect(cut.stdout + cut.stderr).toContain('no connection to');
    server.fault = () => undefined;
    trial.write('secret', 'wrong-password\n');
    const refused = await trial.run(['backup', 'shop']);
    expect(refused.status).toBe(1);
    expect(refused.stdout + refused.stderr).toContain('the user or password is wrong');
    expect(refused.stdout + refused.stderr).not.toContain('wrong-password');
    expect(await count()).toBe(0);
    trial.write('secret', 'right-password\n');
    await trial.ok('backup', 'shop');
    expect(await count()).toBe(1);
  } finally {
    trial.dispose();
  }
});
