import { expect, test } from 'vitest';
import { utf8 } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { listed } from './conformance/case.ts';
import { type FaultPlan, faultyStorage } from './faulty.ts';
import { type MemoryPlace, memoryStorage } from './memory.ts';

function place(...names: string[]): MemoryPlace {
  return new Map(names.map((name) => [name, utf8('0123456789')]));
}

async function trial(plan: FaultPlan) {
  const storage = faultyStorage(memoryStorage(place()), plan);
  const outcomes: string[] = [];
  for (let at = 0; at < 60; at++) {
    await storage.put(`a/${at}`, [utf8('0123456789')]).then(
      () => outcomes.push('ok'),
      (error: Error) => outcomes.push(error.message),
    );
    const read = await storage.get(`a/${at}`).catch(() => undefined);
    outcomes.push(read ? Buffer.from(read).toString('latin1') : 'unread');
  }
  return { outcomes, injected: storage.injected };
}

test('the same seed injects the same faults, another seed others', async () => {
  const rules = [
    { fault: { kind: 'torn-success' }, probability: 0.2 },
    { fault: { kind: 'error-before' }, probability: 0.2 },
    { fault: { kind: 'bit-flip' }, probability: 0.3 },
  ] as const;
  const first = await trial({ seed: 5, rules });
  expect(await trial({ seed: 5, rules })).toEqual(first);
  expect((await trial({ seed: 6, rules })).injected).not.toEqual(first.injected);
  for (const kind of ['torn-success', 'error-before', 'bit-flip']) {
    expect(first.injected.filter((one) => one.kind === kind).length).toBeGreaterThan(3);
  }
});

test('an error before leaves nothing, an error after leaves the effect', async () => {
  const objects = place();
  const storage = faultyStorage(memoryStorage(objects), {
    seed: 1,
    rules: [
      { fault: { kind: 'error-before', code: 'storage.denied', retry: 'never' }, calls: [1] },
      { fault: { kind: 'error-after' }, calls: [2], operations: ['put'] },
    ],
  });
  await expect(storage.put('a', [utf8('x')])).rejects.toMatchObject({ code: 'storage.denied', retry: 'never' });
  expect(objects.has('a')).toBe(false);
  await expect(storage.put('b', [utf8('x')])).rejects.toMatchObject({ code: 'storage.unreachable', retry: 'now' });
  expect(objects.has('b')).toBe(true);
  await storage.put('c', [utf8('x')]);
  expect(storage.injected.map(({ call, kind }) => [call, kind])).toEqual([
    [1, 'error-before'],
    [2, 'error-after'],
  ]);
});

test('a torn put leaves the beginning of the body under the final name, and admits it or not', async () => {
  const objects = place();
  const storage = faultyStorage(memoryStorage(objects), {
    seed: 3,
    rules: [
      { fault: { kind: 'torn-failure' }, names: /^failure/, probability: 1 },
      { fault: { kind: 'torn-success' }, names: /^success/g, probability: 1, times: 2 },
    ],
  });
  const body = [utf8('01234'), utf8('56789')];
  await expect(storage.put('failure', body)).rejects.toMatchObject({ code: 'storage.unreachable' });
  await storage.put('success-1', body);
  await storage.put('success-2', body);
  await storage.put('success-3', body);
  for (const name of ['failure', 'success-1', 'success-2']) {
    expect(objects.get(name)!.byteLength).toBeLessThan(10);
    expect('0123456789').toContain(Buffer.from(objects.get(name)!).toString());
  }
  expect(objects.get('success-3')!.byteLength).toBe(10);
  expect(storage.injected.map(({ kind }) => kind)).toEqual(['torn-failure', 'torn-success', 'torn-success']);
});

test('a full storage refuses what does not fit, from concurrent puts too, until something is deleted', async () => {
  const objects = place();
  const storage = faultyStorage(memoryStorage(objects), { seed: 1, fullAfterBytes: 100 });
  const puts = ['a', 'b', 'c'].map((name) => storage.put(name, [new Uint8Array(40)]));
  const outcomes = await Promise.allSettled(puts);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  await expect(storage.put('c', [new Uint8Array(40)])).rejects.toMatchObject({ code: 'storage.full' });
  await storage.put('a', [new Uint8Array(60)]);
  await storage.delete('b');
  await storage.put('c', [new Uint8Array(40)]);
  expect([...objects.keys()]).toEqual(['a', 'c']);
});

test('a flipped bit is one bit, in what was read and not in what is stored', async () => {
  const objects = place('a');
  const storage = faultyStorage(memoryStorage(objects), { seed: 9, rules: [{ fault: { kind: 'bit-flip' }, from: 2 }] });
  const clean = await storage.get('a');
  const into = new Uint8Array(10);
  await storage.getInto('a', 0, into);
  for (const read of [await storage.get('a'), into]) {
    const flipped = read.reduce(
      (bits, byte, at) => bits + (byte ^ clean[at]).toString(2).replaceAll('0', '').length,
      0,
    );
    expect(flipped).toBe(1);
  }
  expect(Buffer.from(objects.get('a')!).equals(clean)).toBe(true);
});

test('a short listing leaves objects out and says nothing', async () => {
  const names = Array.from({ length: 50 }, (_, at) => `a/${at}`);
  const storage = faultyStorage(memoryStorage(place(...names)), {
    seed: 4,
    rules: [{ fault: { kind: 'short-list', share: 0.1 }, calls: [1] }],
  });
  const first = await listed(storage, 'a');
  expect(first.size).toBeGreaterThan(30);
  expect(first.size).toBeLessThan(50);
  expect((await listed(storage, 'a')).size).toBe(50);
});

test('a slow call waits on the plan’s clock, and can be cancelled there', async () => {
  const waits: number[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: async (ms) => {
      waits.push(ms);
    },
  };
  const rules = [{ fault: { kind: 'slow', delayMs: 30_000 }, probability: 1 }] as const;
  const storage = faultyStorage(memoryStorage(place('a')), { seed: 1, clock, rules });
  await storage.stat('a');
  expect(waits).toEqual([30_000]);
  await expect(storage.get('a', undefined, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
  expect(waits).toEqual([30_000]);
});
