import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Clock } from '../base/clock.ts';
import type { Host } from './host.ts';
import { type HostLimits, limitedHost } from './limited.ts';
import { localHost } from './local/index.ts';

/** Time passes when somebody sleeps, and only then. */
function leap(): Clock & { readonly atMs: number } {
  let atMs = 0;
  return {
    get atMs() {
      return atMs;
    },
    nowMs: () => atMs,
    monotonicMs: () => atMs,
    sleep: async (ms) => {
      atMs += ms;
    },
  };
}

const kib = 1024;
const rate = (bytesPerSecond: number): HostLimits['upload'] => ({ windows: [{ bytesPerSecond }] });

function trial(limits: HostLimits) {
  const clock = leap();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-limited-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const host = limitedHost(localHost(), limits, clock);
  return { clock, folder, host, seconds: () => clock.atMs / 1000 };
}

async function readAll(host: Host, path: string): Promise<Buffer> {
  const reader = await host.files.open(path);
  const into = Buffer.alloc(4 << 20);
  let length = 0;
  for (let count = -1; count !== 0; length += count) count = await reader.read(into.subarray(length));
  await reader.close();
  return into.subarray(0, length);
}

test('without limits the host is itself', () => {
  const host = localHost();
  expect(limitedHost(host, {}, leap())).toBe(host);
});

test('files are read at the rate, whole and in order', async () => {
  const { folder, host, seconds } = trial({ download: rate(256 * kib) });
  const content = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i % 251));
  writeFileSync(join(folder, 'file'), content);
  expect((await readAll(host, join(folder, 'file'))).equals(content)).toBe(true);
  expect(seconds()).toBeGreaterThanOrEqual(2.9);
  expect(seconds()).toBeLessThanOrEqual(4.1);
});

test('what programs print and are given is paced, each direction by its own rate', async () => {
  const { host, seconds } = trial({ download: rate(100 * kib), upload: rate(1000 * kib) });
  const cat = await host.run({ argv: ['cat'] });
  const read = (async () => {
    let length = 0;
    for await (const part of cat.stdout) length += part.byteLength;
    return length;
  })();
  for (let i = 0; i < 20; i++) await cat.write(Buffer.alloc(10 * kib, i));
  await cat.endInput();
  expect(await read).toBe(200 * kib);
  expect((await cat.exit).status).toBe(0);
  expect(seconds()).toBeGreaterThanOrEqual(1);
});

test('connections are paced, end when the other side ends, and fail when it fails', async () => {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const { host, seconds } = trial({ download: rate(64 * kib) });
  const echo = await host.connect({ host: '127.0.0.1', port });
  echo.end(Buffer.alloc(256 * kib, 7));
  let length = 0;
  for await (const part of echo) length += (part as Buffer).byteLength;
  expect(length).toBe(256 * kib);
  expect(seconds()).toBeGreaterThanOrEqual(2);

  const cut = await host.connect({ host: '127.0.0.1', port });
  const failed = new Promise((resolve) => cut.once('error', resolve).once('close', resolve));
  cut.resume();
  cut.write('x');
  await expect.poll(() => sockets.length).toBe(2);
  sockets[1].resetAndDestroy();
  await failed;
  expect(cut.destroyed).toBe(true);

  const dropped = await host.connect({ host: '127.0.0.1', port });
  await expect.poll(() => sockets.length).toBe(3);
  dropped.on('error', () => {});
  dropped.destroy();
  await expect.poll(() => sockets[2].closed || sockets[2].readableEnded).toBe(true);
  sockets[2].destroy();
});

test('restores are written at the rate', async () => {
  const { folder, host, seconds } = trial({ upload: rate(100 * kib) });
  await using target = await host.openTarget(join(folder, 'restored'), 'refuse');
  const writer = await target.createFile(join(folder, 'restored', 'big'), 300 * kib);
  for (let at = 0; at < 300; at += 50) await writer.writeAt(Buffer.alloc(50 * kib, 5), at * kib);
  await writer.close();
  await target.writeWhole(join(folder, 'restored', 'small'), Buffer.from('small'));
  await target.finish();
  expect(readFileSync(join(folder, 'restored', 'big')).equals(Buffer.alloc(300 * kib, 5))).toBe(true);
  expect(readFileSync(join(folder, 'restored', 'small'), 'utf8')).toBe('small');
  expect(seconds()).toBeGreaterThanOrEqual(2);
});
