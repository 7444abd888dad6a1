import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeLock, encodeLock } from './lock.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const utf8 = (json: string): Buffer => Buffer.from(json, 'utf8');
const unicode = fc.string({ unit: 'grapheme' });
const u32 = fc.nat({ max: 2 ** 32 - 1 });
const json =
  '{"time":"2026-11-21T04:41:04.456380447-03:30","exclusive":true,"hostname":"h","username":"u","pid":7,"uid":1000}';

describe('a lock', () => {
  test('is read as what was written', () => {
    const timeMs = fc.integer({ min: 0, max: 253_402_200_000_000 });
    const lock = {
      timeMs,
      exclusive: fc.boolean(),
      hostname: unicode,
      username: unicode,
      pid: u32,
      uid: u32,
      gid: u32,
    };
    fc.assert(
      fc.property(fc.record(lock), (one) => {
        expect(decodeLock(encodeLock(one))).toMatchObject(one);
      }),
    );
  });

  test('of restic keeps its nanoseconds and zone, until its time is another', () => {
    const lock = decodeLock(utf8(json));
    expect(lock).toMatchObject({
      timeMs: Date.parse('2026-11-21T08:11:04.456Z'),
      exclusive: true,
      pid: 7,
      uid: 1000,
      gid: 0,
    });
    expect(text(encodeLock(lock))).toBe(json);
    expect(decodeLock(encodeLock({ ...lock, timeMs: lock.timeMs + 1 })).timeMs).toBe(lock.timeMs + 1);
  });

  test.each([
    ['without a time', json.replace(/"time":"[^"]*",/, '')],
    ['neither exclusive nor shared', json.replace('true', '1')],
    ['of a process that is none', json.replace('7,', '-7,')],
    ['that does not end', json.slice(0, -1)],
  ])('%s is damaged', (_, wrong) => {
    expect(() => decodeLock(utf8(wrong))).toThrow(expect.objectContaining({ code: 'repository.damaged' }));
  });
});
