import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { localHost } from '../hosts/local/index.ts';
import { endingWithUs, socketDirectory, ThrowawayProcess } from './throwaway-process.ts';

const { signal } = new AbortController();
const server = ['sh', '-c', 'echo $$; exec sleep 1000'];

function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** A program that starts the server as a driver does, and says the server's pid. */
function holder(): ChildProcess {
  const program = `
    const { localHost } = await import(${JSON.stringify(new URL('../hosts/local/index.ts', import.meta.url).href)});
    const { endingWithUs } = await import(${JSON.stringify(new URL('throwaway-process.ts', import.meta.url).href)});
    const host = localHost();
    const argv = endingWithUs(host, ${JSON.stringify(server)});
    const { stdout } = await host.run({ argv, signal: new AbortController().signal });
    for await (const part of stdout) process.stdout.write(part);`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

test('a server ends when the process that started it is killed', async () => {
  const child = holder();
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  const pid = Number(said.toString());
  expect(isRunning(pid)).toBe(true);
  child.kill('SIGKILL');
  await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
});

test('and when it is stopped; what it said last is kept', async () => {
  const host = localHost();
  const running = new ThrowawayProcess(await host.run({ argv: endingWithUs(host, server), signal }));
  await expect.poll(() => running.said, { timeout: 20_000 }).toMatch(/^\d+\n$/);
  const pid = Number(running.said);
  await running.stop();
  expect(running.hasEnded).toBe(true);
  await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
});

test('a socket whose path would be too long gets a directory of its own, which goes again', async () => {
  const host = localHost();
  expect(await socketDirectory(host, '/var/short', 's')).toMatchObject({ path: '/var/short' });
  const own = await socketDirectory(host, join(tmpdir(), 'x'.repeat(90)), 'server.sock');
  expect(own.path.length).toBeLessThan(80);
  await own.remove();
  await expect(host.files.attributes(own.path)).rejects.toThrow();
});
