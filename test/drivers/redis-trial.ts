/** What tests of the redis driver share: sources of real servers, a repository, drills and restores. */
import { execFileSync } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { RestoredCopy, RestoreOutcome, RestoreRequest, SourceContext } from '../../src/drivers/driver.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { type Settings, settings } from '../../src/drivers/redis/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Check, type Fact, type Fingerprint, parseFingerprint } from '../../src/model/fingerprint.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { type RedisRelease, type RedisServer, redisProgram } from '../servers/redis.ts';

export const host = localHost();
const releases: readonly RedisRelease[] = ['redis 6.0', 'installed', 'redis 8', 'valkey 8', 'valkey 9'];
export const programs = new Map<RedisRelease, string>();
for (const release of releases) {
  const program = await redisProgram(release);
  if (program !== undefined) programs.set(release, program);
}
export const installed = programs.get('installed');

/** Opened before the tests of a file that calls `useBench`. */
export let bench: Bench & AsyncDisposable;
export function useBench(): void {
  beforeAll(async () => {
    bench = await openDriverBench({ driver: redis, storageKinds, clock: systemClock });
  });
  afterAll(async () => await bench?.[Symbol.asyncDispose]());
}

export type Source = SourceContext<Settings>;

export function sourceAt(given: Record<string, unknown>): Source {
  return unattended({ name: 'trial', settings: settings.parse(given), host, local: host });
}

/** A source of a server, whose drills use the same program. */
export function sourceOf(
  server: RedisServer,
  release: RedisRelease = 'installed',
  more: Record<string, unknown> = {},
): Source {
  const program = programs.get(release)!;
  const serverProgram = program.startsWith('/')
    ? program
    : execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
  return sourceAt({ url: server.url, serverProgram, ...more });
}

export type Stored = Awaited<ReturnType<Bench['backUp']>>;

export async function factsOf(stored: Stored): Promise<readonly Fact[]> {
  return (await fingerprintOf(stored)).facts;
}

export async function fingerprintOf(stored: Stored): Promise<Fingerprint> {
  await using opened = await stored.open();
  const parts: Uint8Array[] = [];
  for await (const part of opened.contents.read('/.holdfast/fingerprint.json')) parts.push(part);
  return parseFingerprint(Buffer.concat(parts).toString('utf8'))!;
}

/** Restores into a throwaway, and gives the copy to a task; nothing is left. */
export async function withCopy<T>(
  source: Source,
  stored: Stored,
  task: (copy: RestoredCopy) => Promise<T>,
): Promise<T> {
  await using opened = await stored.open();
  const directory = await bench.directory();
  await using copy = await redis.restoreThrowaway(source, opened.contents, { directory, host });
  return await task(copy);
}

export async function drill(source: Source, stored: Stored): Promise<Check[]> {
  const expected = await fingerprintOf(stored);
  return await withCopy(source, stored, (copy) => copy.compare(expected));
}

export function failed(checks: readonly Check[]): readonly string[] {
  expect(checks.length).toBeGreaterThan(0);
  return checks.filter(({ ok }) => !ok).map(({ subject, measure }) => `${subject} ${measure}`);
}

export async function restore(
  source: Source,
  stored: Stored,
  request: Partial<RestoreRequest>,
): Promise<RestoreOutcome> {
  await using opened = await stored.open();
  return await redis.restore(source, opened.contents, { host, dryRun: false, overwrite: false, ...request });
}

/** Passes bytes on, up to a number of them from the server; can flip one bit. */
export async function cuttingProxy(to: number, most: number, flipAt = -1): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    let passed = 0;
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}));
    near.on('data', (chunk) => far.write(chunk));
    far.on('data', (chunk: Buffer) => {
      if (flipAt >= passed && flipAt < passed + chunk.length) chunk[flipAt - passed] ^= 4;
      passed += chunk.length;
      if (passed <= most) near.write(chunk);
      else near.destroy();
    });
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
