import { expect, test } from 'vitest';
import type { RunEvent } from '../model/run.ts';
import { EventBuffer } from './event-buffer.ts';

const note = (message: string): RunEvent => ({ type: 'note', message });
const warning = (message: string): RunEvent => ({ type: 'warning', code: 'source.unreadable', message });
const progress = (bytesDone: number): RunEvent => ({ type: 'progress', stage: 'read', bytesDone });

test('a batch that was not confirmed is given again, unchanged, and the next one goes on from its end', () => {
  const buffer = new EventBuffer();
  for (const message of ['a', 'b']) buffer.add(note(message));
  const first = buffer.batch();
  buffer.add(note('c'));
  expect(buffer.batch()).toEqual(first);
  expect(first).toEqual({ from: 1, events: [note('a'), note('b')] });
  expect(buffer.acknowledge(1), 'half of it').toBe(false);
  expect(buffer.acknowledge(2)).toBe(true);
  expect(buffer.batch()).toEqual({ from: 3, events: [note('c')] });
  expect(buffer.isEmpty).toBe(false);
  buffer.acknowledge(3);
  expect([buffer.isEmpty, buffer.batch()]).toEqual([true, undefined]);
});

test('while nobody listens, progress is told once, notes have a bound, and every warning stays', () => {
  const buffer = new EventBuffer();
  for (let i = 0; i < 5000; i++) {
    buffer.add(progress(i));
    buffer.add(note(`n${i}`));
    if (i % 10 === 0) buffer.add(warning(`w${i}`));
  }
  expect(buffer.warnings()).toHaveLength(500);
  const all: RunEvent[] = [];
  let next = 1;
  for (let batch = buffer.batch(); batch; batch = buffer.batch()) {
    expect(batch.from).toBe(next);
    expect(batch.events.length).toBeLessThanOrEqual(200);
    all.push(...batch.events);
    next += batch.events.length;
    buffer.acknowledge(next - 1);
  }
  const of = (type: RunEvent['type']): RunEvent[] => all.filter((one) => one.type === type);
  expect(of('warning')).toHaveLength(500);
  expect(of('progress')).toEqual([progress(4999)]);
  expect(of('note')).toHaveLength(1001);
  expect(of('note')[0]).toEqual(note('4000 notes were left out while the server was away'));
  expect(of('note').at(-1)).toEqual(note('n4999'));
});

test('what is not confirmed is given to the next buffer under the numbers that it had, or would have had', () => {
  const buffer = new EventBuffer();
  for (const message of ['a', 'b']) buffer.add(note(message));
  buffer.batch();
  buffer.acknowledge(2);
  buffer.add(warning('w'));
  buffer.batch();
  for (let i = 0; i < 1002; i++) buffer.add(note(`n${i}`));
  const told = (from: EventBuffer): unknown[] => {
    const all: unknown[] = [];
    for (let batch = from.batch(); batch; batch = from.batch()) {
      for (const [i, event] of batch.events.entries()) all.push([batch.from + i, event]);
      from.acknowledge(batch.from + batch.events.length - 1);
    }
    return all;
  };
  const next = new EventBuffer(buffer.untold());
  expect(next.warnings()).toEqual(['w']);
  const again = told(next);
  expect(again).toEqual(told(buffer));
  expect(again.slice(0, 2)).toEqual([
    [3, warning('w')],
    [4, note('2 notes were left out while the server was away')],
  ]);
});
