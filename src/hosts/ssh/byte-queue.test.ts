import { expect, test } from 'vitest';
import { ByteQueue } from './byte-queue.ts';

test('what is pushed comes out in order, then the end', async () => {
  const queue = new ByteQueue(10, () => {});
  const first = queue.next();
  queue.push(Buffer.from('one'));
  queue.push(Buffer.alloc(0));
  queue.push(Buffer.from('two'));
  queue.end();
  queue.push(Buffer.from('late'));
  expect([(await first)?.toString(), (await queue.next())?.toString()]).toEqual(['one', 'two']);
  expect(await queue.next()).toBeUndefined();
  await queue.drained();
});

test('room is told once it is there again', async () => {
  let told = 0;
  const queue = new ByteQueue(4, () => told++);
  queue.push(Buffer.from('1234'));
  expect(queue.full).toBe(true);
  await queue.next();
  expect({ told, full: queue.full }).toEqual({ told: 1, full: false });
});

test('an error comes after what was there, a discard instead of it', async () => {
  const queue = new ByteQueue(10, () => {});
  queue.push(Buffer.from('x'));
  queue.end(new Error('cut'));
  expect((await queue.next())?.toString()).toBe('x');
  await expect(queue.next()).rejects.toThrow('cut');
  const dropped = new ByteQueue(10, () => {});
  dropped.push(Buffer.from('x'));
  dropped.discard(new Error('killed'));
  await expect(dropped.next()).rejects.toThrow('killed');
  await dropped.drained();
});
