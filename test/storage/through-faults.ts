/** What every storage behind HTTP has to bear: the same calls, while requests fail for a moment. */
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { body, expectBytes, listed } from '../../src/storage/conformance/case.ts';
import type { Storage } from '../../src/storage/storage.ts';
import type { Fault, FaultyProxy } from '../servers/faulty-http-proxy.ts';

export const passingFaults: readonly Fault[] = ['reset', 'busy', 'fault', 'too-many', 'truncate', 'lost-answer'];

/** Waits are tested by retry.test.ts; here they would only take time. */
export const patient = { ...systemClock, sleep: async () => {} };

/** Every call succeeds by trying again, and does what it says. */
export async function callThroughFaults(storage: Storage, proxy: FaultyProxy, fault: Fault): Promise<void> {
  const failing = (): void => proxy.failNext(fault, 2);
  for (let round = 0; round < 2; round++) {
    const bytes = body(300_000 + round, round);
    const name = `data/00/${createHash('sha256').update(bytes).digest('hex')}`;
    failing();
    await storage.put(name, [bytes]);
    failing();
    expectBytes(await storage.get(name), bytes, 'the object');
    failing();
    const into = new Uint8Array(1000);
    await storage.getInto(name, 5000, into);
    expectBytes(into, bytes.subarray(5000, 6000), 'the range');
    failing();
    expect(await storage.stat(name)).toEqual({ name, sizeBytes: bytes.byteLength });
    failing();
    expect((await listed(storage, 'data')).size).toBe(round + 1);
  }
  for (const name of ['config', 'keys/one']) {
    failing();
    await storage.put(name, [body(100, 1)], { mustNotExist: true });
    failing();
    await expect(storage.put(name, [body(100, 2)], { mustNotExist: true })).rejects.toMatchObject({
      code: 'storage.exists',
    });
    expectBytes(await storage.get(name), body(100, 1), 'the object that was first');
  }
  failing();
  await storage.delete('config');
  expect(await storage.stat('config')).toBeUndefined();
  proxy.failNext(fault, 0);
}

/** Overloaded for good: given up after eight tries, with an error that may be tried later. */
export async function giveUpInTime(storage: Storage, proxy: FaultyProxy): Promise<void> {
  const before = proxy.failed;
  proxy.failNext('busy', 100);
  await expect(storage.get('data/x')).rejects.toMatchObject({
    code: 'storage.unreachable',
    retry: 'later',
    context: { status: 503 },
  });
  expect(proxy.failed - before).toBe(8);
  proxy.failNext('busy', 0);
}

/** Full and refusing: said at once, and nothing is there. */
export async function hearRefusals(storage: Storage, proxy: FaultyProxy): Promise<void> {
  for (const [fault, code] of [
    ['full', 'storage.full'],
    ['denied', 'storage.denied'],
  ] as const) {
    const before = proxy.failed;
    proxy.failNext(fault, 100);
    await expect(storage.put('data/x', [body(1000, 1)])).rejects.toMatchObject({ code, retry: 'never' });
    expect(proxy.failed - before).toBeLessThan(4);
    proxy.failNext(fault, 0);
    expect(await storage.stat('data/x')).toBeUndefined();
  }
}
