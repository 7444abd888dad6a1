/** A source on another machine, with the program as a person runs it. */
import { execFileSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { endProcess } from '../support/end-process.ts';

let sshd: Sshd;
let trial: Trial;

beforeAll(async () => {
  sshd = await startSshd();
  trial = new Trial();
  const script = `mkdir -p src/sub; for i in $(seq 1 50); do echo $i > "src/f $i"; done; ln "src/f 1" src/hard; ln -s nowhere src/soft
    head -c 3000000 /dev/urandom > src/large; setfattr -n user.t -v x src/large; touch -d 2001-02-03T04:05:06.789 src/sub`;
  execFileSync('sh', ['-c', script], { cwd: trial.folder });
  trial.write('password', 'correct horse');
  trial.write(
    'holdfast.yaml',
    `
repositories:
  here: { url: ${trial.path('repository')}, password: { file: ${trial.path('password')} } }
hosts:
  gate: { ssh: "${sshd.address}", key: { file: ${sshd.key} }, knownHosts: ${sshd.knownHosts} }
  far: { ssh: "${sshd.address}", key: { file: ${sshd.key} }, hostKey: ${sshd.hostKey}, jump: gate }
  slow: { ssh: "${sshd.address}", key: { file: ${sshd.key} }, knownHosts: ${sshd.knownHosts}, limits: { download: 1MiB/s } }
sources:
  slowly: { driver: files, host: slow, paths: [${trial.path('src/large')}], repository: here }
  configs: { driver: files, host: far, paths: [${trial.path('src')}], repository: here }
  large: { driver: files, host: gate, paths: [${trial.path('big')}], repository: here }
`,
  );
  await trial.ok('repo', 'init', 'here');
});

afterAll(async () => {
  trial.dispose();
  await sshd[Symbol.asyncDispose]();
});

test('is backed up through a jump host, proven, unchanged the next time, and restored as it was', async () => {
  await trial.ok('backup', 'configs');
  const again = await trial.ok('backup', 'configs');
  // directories above, such as /tmp, may have changed
  expect(again).toMatch(/ \d+ B new/);
  expect(await trial.ok('drill', 'configs')).toContain('PROVEN');
  await trial.ok('restore', 'configs@latest', '--to', trial.path('out'));
  const list = (folder: string): string =>
    execFileSync(
      'sh',
      ['-c', 'find . -printf "%p %y %m %T@ %U %n %l\\n" | sort; cat f* large | sha256sum; getfattr -d large'],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
  // making links and files in it changes a directory's link, not its time: that is set last
  expect(list(`${trial.path('out')}${trial.path('src')}`).replaceAll(/l 777 \S+/g, 'l')).toBe(
    list(trial.path('src')).replaceAll(/l 777 \S+/g, 'l'),
  );
});

test('is read no faster than its limit allows, and whole', async () => {
  const startedMs = performance.now();
  await trial.ok('backup', 'slowly');
  // 3 MB at 1 MiB/s, less what may be saved up
  expect(performance.now() - startedMs).toBeGreaterThan(2300);
  expect(await trial.ok('drill', 'slowly')).toContain('PROVEN');
});

test('whose connection is cut in the middle leaves no snapshot', async () => {
  const file = createWriteStream(trial.path('big'));
  for (let at = 0; at < 96; at++) file.write(Buffer.alloc(1 << 20, `${at} of a large file, `));
  await new Promise<void>((resolve) => file.end(resolve));
  const { status, stderr, stdout } = await trial.run(['backup', 'large'], () => {
    const from = sshd.log().length;
    const cut = setInterval(() => {
      // the session for files is open: what is left to come is the file itself
      if (!sshd.log().slice(from).includes("subsystem 'sftp'")) return;
      clearInterval(cut);
      for (const id of sshd.serving()) endProcess(id);
    }, 2);
  });
  expect({ status, text: stdout + stderr }).toEqual({ status: 1, text: expect.stringContaining('was lost') });
  expect(await trial.ok('snapshots', 'large')).not.toMatch(/large/);
});

test('whose host key has changed is not touched', async () => {
  await sshd.stop();
  execFileSync('sh', ['-c', 'rm host host.pub; ssh-keygen -q -t ed25519 -N "" -f host'], { cwd: sshd.folder });
  await sshd.start();
  const { status, stdout, stderr } = await trial.run(['backup', 'large']);
  expect({ status, text: stdout + stderr }).toEqual({
    status: 1,
    text: expect.stringContaining('THE HOST KEY HAS CHANGED'),
  });
});
