import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { makePackBuffers, releasePackBuffer, takePackBuffer } from './pack-buffers.ts';

test('gives out every buffer once, the lowest free one first', () => {
  const buffers = makePackBuffers(3, 16);
  expect([takePackBuffer(buffers), takePackBuffer(buffers), takePackBuffer(buffers)]).toEqual([0, 1, 2]);
  releasePackBuffer(buffers, 1);
  releasePackBuffer(buffers, 0);
  expect([takePackBuffer(buffers), takePackBuffer(buffers)]).toEqual([0, 1]);
});

const taker = `
  import { parentPort, workerData } from 'node:worker_threads';
  const { takePackBuffer, releasePackBuffer } = await import(workerData.module);
  const { buffers, rounds } = workerData;
  for (let round = 0; round < rounds; round++) {
    const slot = takePackBuffer(buffers);
    const bytes = new Int32Array(buffers.memory[slot]);
    if (Atomics.add(bytes, 0, 1) !== 0) throw new Error('two had one buffer');
    Atomics.sub(bytes, 0, 1);
    releasePackBuffer(buffers, slot);
  }
  parentPort.postMessage('done');
`;

test('threads that want more buffers than there are wait for each other, and no buffer has two owners', async () => {
  const module = new URL('./pack-buffers.ts', import.meta.url).href;
  const buffers = makePackBuffers(2, 16);
  const source = new URL(`data:text/javascript,${encodeURIComponent(taker)}`);
  const ended = Array.from({ length: 3 }, () => {
    const worker = new Worker(source, { workerData: { module, buffers, rounds: 2000 } });
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  });
  expect(await Promise.all(ended)).toEqual(['done', 'done', 'done']);
  expect([takePackBuffer(buffers), takePackBuffer(buffers)]).toEqual([0, 1]);
});

test('a thread that waits goes on when a buffer is released, and can be ended while it waits', async () => {
  const module = new URL('./pack-buffers.ts', import.meta.url).href;
  const buffers = makePackBuffers(1, 16);
  takePackBuffer(buffers);
  const source = new URL(`data:text/javascript,${encodeURIComponent(taker)}`);
  const start = () => new Worker(source, { workerData: { module, buffers, rounds: 1 } });
  const [served, ended] = [start(), start()];
  await Promise.all([served, ended].map((worker) => new Promise((resolve) => worker.once('online', resolve))));
  await ended.terminate();
  const done = new Promise((resolve) => served.once('message', resolve));
  releasePackBuffer(buffers, 0);
  expect(await done).toBe('done');
});
