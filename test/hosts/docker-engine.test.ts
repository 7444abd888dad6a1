import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { output } from '../../src/hosts/conformance/case.ts';
import { openContainerEngine } from '../../src/hosts/docker/index.ts';
import type { ContainerEngine } from '../../src/hosts/host.ts';
import { type Podman, startPodman } from '../servers/podman.ts';

const execute = promisify(execFile);
const signal = new AbortController().signal;
const argv = ['sleep', '100000'];

let podman: Podman;
let engine: ContainerEngine;
let image: string;

beforeAll(async () => {
  podman = await startPodman();
  image = await podman.importBusyboxImage();
  const opened = await openContainerEngine(podman.socketPath);
  if (!opened) throw new Error('the engine does not answer');
  engine = opened;
}, 120_000);

afterAll(async () => {
  await engine?.close();
  await podman?.[Symbol.asyncDispose]();
});

async function containers(): Promise<string[]> {
  return (await podman.command('ps', '--all', '--quiet')).split('\n').filter(Boolean);
}

test('a throwaway runs, has no network but its loopback, and is gone with its volumes when it is disposed', async () => {
  {
    await using throwaway = await engine.start({ image, argv, env: { GREETING: 'a b' }, signal });
    const { stdout } = await output(throwaway.host, { argv: ['sh', '-c', 'echo "$GREETING"; cat /proc/net/dev'] });
    expect(stdout).toMatch(/^a b\n/);
    expect(stdout).toContain('lo:');
    expect(stdout).not.toContain('eth0:');
    expect(await containers()).toHaveLength(1);
  }
  expect(await containers()).toEqual([]);
  expect(await podman.command('volume', 'ls', '--quiet')).toBe('');
});

test('what the environment of a container or a program holds is in nobody’s arguments', async () => {
  const secret = `secret-${process.pid}-of-a-test`;
  await using throwaway = await engine.start({ image, argv, env: { PASSWORD: secret }, signal });
  const program = await throwaway.host.run({ argv: ['cat'], env: { OTHER: `${secret}-2` } });
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(commandLine);
  expect(lines.filter((line) => line.includes(secret))).toEqual([]);
  await program.endInput();
  expect((await program.exit).status).toBe(0);
});

test('a container that ends as soon as it is started is an error that says why, and leaves nothing', async () => {
  const start = engine.start({ image, argv: ['sh', '-c', 'echo no config >&2; exit 4'], signal });
  await expect(start).rejects.toMatchObject({ code: expect.stringMatching(/^host\./) });
  expect(await containers()).toEqual([]);
});

test('a program that the image lacks, and an image that is nowhere, are errors that say so', async () => {
  const program = engine.start({ image, argv: ['no-such-program'], signal });
  await expect(program).rejects.toMatchObject({ code: 'host.command-failed' });
  const absent = engine.start({ image: 'localhost:1/holdfast/absent:1', signal });
  await expect(absent).rejects.toMatchObject({
    code: 'host.command-missing',
    message: expect.stringContaining('localhost:1/holdfast/absent:1'),
  });
  expect(await containers()).toEqual([]);
});

test('throwaways of a process that was killed are removed, those of one that lives and what is not ours are not', async () => {
  await podman.command('run', '--detach', '--name', 'stranger', '--network', 'none', image, ...argv);
  await using mine = await engine.start({ image, argv, signal });
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-orphan-'));
  try {
    const script = `
      const { openContainerEngine } = await import(${JSON.stringify(new URL('../../src/hosts/docker/index.ts', import.meta.url).href)});
      const engine = await openContainerEngine(${JSON.stringify(podman.socketPath)});
      await engine.start({ image: ${JSON.stringify(image)}, argv: ['sleep', '100000'], signal: new AbortController().signal });
      process.kill(process.pid, 'SIGKILL');`;
    await expect(
      execute(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder }),
    ).rejects.toThrow();
    expect(await containers()).toHaveLength(3);
    expect(await engine.removeLeftovers()).toHaveLength(1);
    expect(await engine.removeLeftovers()).toEqual([]);
    expect(await containers()).toHaveLength(2);
    expect((await output(mine.host, { argv: ['echo', 'alive'] })).stdout).toBe('alive\n');
  } finally {
    rmSync(folder, { recursive: true });
    await podman.command('rm', '--force', '--time', '0', 'stranger');
  }
});

test('containers are stopped and started by name, id and compose service; what does not run or is not there is told', async () => {
  const labels = ['--label', 'com.docker.compose.project=shop', '--label', 'com.docker.compose.service=db'];
  const id = await podman.command(
    'run',
    '--detach',
    '--name',
    'shop_db_1',
    ...labels,
    '--network',
    'none',
    image,
    ...argv,
  );
  const { control } = engine;
  for (const name of ['shop_db_1', 'shop/db', id]) {
    expect(await control.isRunning(name)).toBe(true);
    await control.stop(name, 100);
    expect(await control.isRunning(name)).toBe(false);
    await control.stop(name, 100);
    await control.start(name);
    expect(await control.isRunning(name)).toBe(true);
    await control.start(name);
  }
  for (const name of ['nobody', 'shop/nobody', 'a/b/c']) {
    await expect(control.isRunning(name)).rejects.toMatchObject({ code: 'host.unreachable' });
  }
  await podman.command('rm', '--force', '--time', '0', 'shop_db_1');
  await podman.command('create', '--name', 'broken', '--network', 'none', image, 'no-such-program');
  await expect(control.start('broken')).rejects.toMatchObject({ code: 'host.command-failed' });
  await podman.command('rm', 'broken');
});

test('of a compose service only its one container is stopped, so that it can be started again', async () => {
  const labels = ['--label', 'com.docker.compose.project=inn', '--label', 'com.docker.compose.service=bar'];
  const of = ['--network', 'none', ...labels];
  await podman.command('run', '-d', '--name', 'inn_bar_1', ...of, image, ...argv);
  await podman.command('run', '--name', 'task', ...of, '--label', 'com.docker.compose.oneoff=True', image, 'true');
  const { control } = engine;
  await control.stop('inn/bar', 100);
  expect(await control.isRunning('inn/bar')).toBe(false);
  await control.start('inn/bar');
  expect(await control.isRunning('inn_bar_1')).toBe(true);
  await podman.command('create', '--name', 'inn_bar_2', ...of, image, ...argv);
  await expect(control.stop('inn/bar', 100)).rejects.toThrow('inn/bar has 2 containers');
  expect(await control.isRunning('inn/bar')).toBe(true);
  await podman.command('rm', '--force', '--time', '0', 'inn_bar_1', 'inn_bar_2', 'task');
});

test('a container that would be removed with its volumes when it stops is not stopped', async () => {
  await podman.command('run', '--rm', '-d', '-v', '/data', '--name', 'once', '--network', 'none', image, ...argv);
  await expect(engine.control.stop('once', 100)).rejects.toThrow('--rm');
  expect(await engine.control.isRunning('once')).toBe(true);
  await podman.command('rm', '--force', '--time', '0', 'once');
});

test('where no engine answers there is none, also where somebody listens and says nothing', async () => {
  expect(await openContainerEngine('/nowhere/docker.sock')).toBeUndefined();
  const silent = createServer((client) => client.resume());
  const socket = `${podman.socketPath}.silent`;
  await new Promise<void>((resolve) => silent.listen(socket, resolve));
  const impatient = { ...systemClock, sleep: (_ms: number, options?: object) => systemClock.sleep(100, options) };
  expect(await openContainerEngine(socket, { clock: impatient })).toBeUndefined();
  await new Promise((resolve) => silent.close(resolve));
});

function commandLine(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8');
  } catch {
    return ''; // it ended
  }
}
