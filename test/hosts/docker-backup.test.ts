/** The whole way: files of a container into a repository, back into the container, and proven by a drill. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Podman, startPodman } from '../servers/podman.ts';

const execute = promisify(execFile);
const program = new URL('../../bin/holdfast', import.meta.url).pathname;
const seed = `
mkdir -p /data/many /data/deep/a/b; cd /data
for i in $(seq 1 60); do echo "file $i" >many/f$i; done
dd if=/dev/urandom of=big bs=1000003 count=5 2>/dev/null
dd if=/dev/zero of=sparse bs=1 count=0 seek=5000000 2>/dev/null
ln -s big link; ln big hard; mkfifo fifo; mknod null c 1 3; : >empty
echo x >"deep/a/b/ with
newline"; chmod 4711 deep/a/b/*; chown 12:34 deep/a; touch -d @1500000000.123456789 deep/a/b/*; touch -d @1400000000 deep/a`;
/** One line for each object: type and mode, owner, size, links, device, exact time, name. */
const facts = 'cd "$1"; find . -exec stat -c "%f %u %g %s %h %t %T %y %n" {} + | sort';

let podman: Podman;
let folder: string;

beforeAll(async () => {
  podman = await startPodman({ hostPrograms: true });
  folder = mkdtempSync(join(tmpdir(), 'holdfast-container-'));
  const image = await podman.importHostImage();
  await podman.command('run', '--detach', '--name', 'box', '--network', 'none', image, 'sleep', '100000');
  await podman.command('exec', 'box', 'sh', '-c', seed);
  const configuration = {
    repositories: { main: { url: join(folder, 'repository'), password: { env: 'PASSWORD' } } },
    hosts: { box: { docker: 'box', socket: podman.socketPath } },
    policies: { often: { repositories: [{ name: 'main', keep: { last: 4 } }] } },
    sources: { files: { driver: 'files', host: 'box', paths: ['/data'], policy: 'often' } },
  };
  writeFileSync(join(folder, 'holdfast.yaml'), JSON.stringify(configuration));
}, 120_000);

afterAll(async () => {
  await podman?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function holdfast(...args: readonly string[]): Promise<string> {
  const env = { ...process.env, PASSWORD: 'a password' };
  const { stdout } = await execute(program, ['--config', join(folder, 'holdfast.yaml'), ...args], { env });
  return stdout;
}

test('files of a container come back exactly, into the container, and a drill proves it', async () => {
  await holdfast('repo', 'init', 'main');
  await holdfast('backup', 'files');
  expect(await holdfast('backup', 'files')).toContain('0 B new');
  await holdfast('restore', 'files@latest', '--to', 'box:/restored');
  const inside = async (...argv: string[]): Promise<string> => await podman.command('exec', 'box', ...argv);
  expect(await inside('sh', '-c', facts, 'sh', '/restored/data')).toBe(await inside('sh', '-c', facts, 'sh', '/data'));
  expect(
    await inside(
      'diff',
      '--recursive',
      '--no-dereference',
      '--exclude=fifo',
      '--exclude=null',
      '/data',
      '/restored/data',
    ),
  ).toBe('');
  expect(await inside('du', '-k', '/restored/data/sparse')).toMatch(/^[0-8]\s/);
  expect(await holdfast('drill', 'files')).toContain('PROVEN');
});
