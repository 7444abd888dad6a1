import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Clock } from '../base/clock.ts';
import { atPace, pacedBytes } from '../base/pace.ts';
import { HttpConnections } from '../protocols/http/exchange.ts';
import { limitedStorage, type StorageLimits } from './limited.ts';
import { memoryStorage } from './memory.ts';
import type { Storage } from './storage.ts';

function leap(startMs = 0): Clock & { readonly atMs: number } {
  let atMs = startMs;
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

const rate = (bytesPerSecond: number): StorageLimits['upload'] => ({ windows: [{ bytesPerSecond }] });

describe('a limited storage', () => {
  it('keeps to its rates: what went in one go is paid off before the next call begins', async () => {
    const clock = leap();
    const storage = limitedStorage(memoryStorage(), { upload: rate(1000), download: rate(500) }, clock);
    await storage.put('data/aa/1', [new Uint8Array(3000)]);
    const afterFirst = clock.atMs;
    await storage.put('data/aa/2', [new Uint8Array(3000)]);
    expect(clock.atMs - afterFirst).toBe(3000);
    const beforeGet = clock.atMs;
    await storage.getInto('data/aa/1', 0, new Uint8Array(1000));
    await storage.get('data/aa/1', { offset: 0, length: 1000 });
    expect(clock.atMs - beforeGet).toBeGreaterThanOrEqual(1750);
    expect(clock.atMs - beforeGet).toBeLessThanOrEqual(2000);
  });

  it('does not slow down what has no bytes to move, nor the other direction', async () => {
    const clock = leap();
    const storage = limitedStorage(memoryStorage(), { upload: rate(10) }, clock);
    await storage.put('data/aa/1', [new Uint8Array(1000)]);
    await storage.get('data/aa/1');
    await storage.stat('data/aa/1');
    for await (const { name } of storage.list('data')) expect(name).toBe('data/aa/1');
    await storage.delete('data/aa/1');
    expect(clock.atMs).toBe(0);
  });

  it('makes so many transfers at once, and a list may be read while its entries are', async () => {
    let now = 0;
    let most = 0;
    const place = memoryStorage();
    const slow: Storage = {
      ...place,
      get: async (name) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return await place.get(name);
      },
    };
    const storage = limitedStorage(slow, { concurrency: 2 }, leap());
    for (let i = 0; i < 8; i++) await storage.put(`data/aa/${i}`, [Uint8Array.of(i)]);
    await Promise.all(Array.from({ length: 8 }, (_, i) => storage.get(`data/aa/${i}`)));
    expect(most).toBe(2);
    const alone = limitedStorage(slow, { concurrency: 1 }, leap());
    for await (const { name } of alone.list('data')) await alone.get(name);
  });

  it('lets locks through at once, however much waits', async () => {
    const clock = leap();
    const storage = limitedStorage(memoryStorage(), { upload: rate(10), concurrency: 1 }, clock);
    await storage.put('data/aa/1', [new Uint8Array(1000)]);
    const slow = storage.put('data/aa/2', [new Uint8Array(1000)]);
    await storage.put('locks/a', [new Uint8Array(100)], { passing: true });
    expect(clock.atMs).toBeLessThan(2000);
    await storage.delete('locks/a');
    await slow;
    expect(clock.atMs).toBe(100_000);
  });

  it('is the storage itself without limits', () => {
    const storage = memoryStorage();
    expect(limitedStorage(storage, {}, leap())).toBe(storage);
  });
});

it('an HTTP exchange at a pace asks before each small piece of its body, and for each piece of the reply', async () => {
  const server = createServer((incoming, outgoing) => {
    incoming.resume().on('end', () => outgoing.end(Buffer.alloc(300_000)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connections = new HttpConnections({ maxConnections: 1, silenceMs: 5000, env: {} });
  onTestFinished(async () => {
    await connections.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const asked: number[] = [];
  const pace = async (bytes: number): Promise<void> => void asked.push(bytes);
  const body = [new Uint8Array(1_000_000), new Uint8Array(10)];
  const reply = await atPace(pace, () =>
    connections.exchange({ method: 'PUT', protocol: 'http:', host: `127.0.0.1:${port}`, path: '/', headers: {}, body }),
  );
  expect(reply.body.byteLength).toBe(300_000);
  expect(Math.max(...asked)).toBeLessThanOrEqual(Math.max(pacedBytes, 65_536));
  expect(asked.reduce((sum, one) => sum + one, 0)).toBe(1_300_010);
});
