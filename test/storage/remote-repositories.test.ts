/** Repositories across a network, with the program as a person runs it, and with restic beside it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { type RcloneServer, startRclone } from '../servers/rclone.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';

let sshd: Sshd;
let rclone: RcloneServer;
let trial: Trial;

beforeAll(async () => {
  trial = new Trial();
  const script = `mkdir -p src/sub store; for i in $(seq 1 30); do echo $i > "src/f $i"; done; ln -s nowhere src/soft
    head -c 5000000 /dev/urandom > src/large; touch -d 2001-02-03T04:05:06.789 src/sub`;
  execFileSync('sh', ['-c', script], { cwd: trial.folder });
  sshd = await startSshd();
  rclone = await startRclone({
    protocol: 'restic',
    directory: trial.path('store'),
    user: 'me',
    password: restPassword,
  });
  trial.write('password', repositoryPassword);
  trial.write('rest-password', restPassword);
  const password = `password: { file: ${trial.path('password')} }`;
  const key = `key: { file: ${sshd.key} }, knownHosts: ${sshd.knownHosts}`;
  const rest = `user: me, password: { file: ${trial.path('rest-password')} }`;
  trial.write(
    'holdfast.yaml',
    `
repositories:
  sftp: { url: "sftp:${sshd.user}@127.0.0.1:${trial.path('far')}", ${password}, sftp: { port: ${sshd.port}, ${key} } }
  rest: { url: "rest:http://127.0.0.1:${rclone.port}/team/", ${password}, rest: { ${rest} } }
sources:
  files-sftp: { driver: files, paths: [${trial.path('src')}], repository: sftp }
  files-rest: { driver: files, paths: [${trial.path('src')}], repository: rest }
`,
  );
});

afterAll(async () => {
  await rclone[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
  trial.dispose();
});

const repositoryPassword = 'correct horse battery';
const restPassword = 'only-for-the-server';

function restic(program: string, repository: string, ...args: string[]): string {
  const ssh = `ssh -F none -p ${sshd.port} -i ${sshd.key} -o UserKnownHostsFile=${sshd.knownHosts} ${sshd.user}@127.0.0.1 -s sftp`;
  const url = repository === 'sftp' ? `sftp:${sshd.user}@127.0.0.1:${trial.path('far')}` : restUrl();
  const options = repository === 'sftp' ? ['-o', `sftp.command=${ssh}`] : [];
  const env = { ...trial.env, RESTIC_PASSWORD: repositoryPassword, RESTIC_CACHE_DIR: trial.path('cache') };
  return execFileSync(program, ['-r', url, ...options, ...args], { encoding: 'utf8', env });
}

function restUrl(): string {
  return `rest:http://me:${restPassword}@127.0.0.1:${rclone.port}/team/`;
}

function contents(folder: string): string {
  const script = 'find . -printf "%p %y %m %T@ %l\\n" | sort; cat f* large | sha256sum';
  return execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' });
}

describe.each([
  ['sftp', 'restic'],
  ['rest', 'restic-new'],
])('%s', (name, program) => {
  test('is made, filled, proven by a drill, and checked', async () => {
    await trial.ok('repo', 'init', name);
    await trial.ok('backup', `files-${name}`);
    expect(await trial.ok('backup', `files-${name}`)).toMatch(/ \d+ B new/);
    expect(await trial.ok('drill', `files-${name}`)).toContain('PROVEN');
    expect(await trial.ok('proofs', '--repository', name)).toContain(`files-${name}`);
    await trial.ok('pin', `files-${name}`, '--repository', name);
    expect(await trial.ok('snapshots', '--repository', name)).toContain('pinned');
  });

  test(`is sound to ${program}, which restores what we stored and stores what we restore`, async () => {
    expect(restic(program, name, 'check', '--read-data')).toContain('no errors were found');
    const out = trial.path(`out-${name}-${program}`);
    restic(program, name, 'restore', 'latest', '--target', out);
    expect(contents(`${out}${trial.path('src')}`)).toBe(contents(trial.path('src')));
    restic(program, name, 'backup', '--host', program, trial.path('src'));
    const listed = restic(program, name, 'snapshots', '--json', '--host', program);
    const [{ id }] = JSON.parse(listed) as { id: string }[];
    const back = trial.path(`back-${name}-${program}`);
    await trial.ok('restore', id, '--repository', name, '--to', back);
    expect(contents(`${back}${trial.path('src')}`)).toBe(contents(trial.path('src')));
  });

  test('leaves no lock and no temporary file, and shows no secret', async () => {
    const seen = new Set<string>();
    const { stdout, stderr } = await trial.run(['backup', `files-${name}`], () => {
      for (const id of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) seen.add(commandOf(id));
    });
    const all = [stdout, stderr, ...seen].join('\n');
    for (const secret of [repositoryPassword, restPassword]) expect(all).not.toContain(secret);
    const root = trial.path(name === 'sftp' ? 'far' : 'store/team');
    expect(readdirSync(`${root}/locks`)).toEqual([]);
    if (name === 'sftp') expect(readdirSync(`${root}/~holdfast`)).toEqual([]);
  });
});

function commandOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
