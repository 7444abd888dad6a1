import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closeDatabaseFiles, OverlayStream, openDatabaseFiles, plainState } from './overlay.ts';
import { frameHeaderBytes, mapWalPages, walHeaderBytes } from './wal.ts';
import { parseWalIndex, type WalIndex, walIndexHeadBytes } from './wal-index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-overlay-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const pageBytes = 512;
const salts = Buffer.from('0123456789abcdef', 'hex');

function page(content: number): Buffer {
  return Buffer.alloc(pageBytes, content);
}

/** A WAL of frames [page, content]; the last is the commit of a database of `pageCount` pages. */
function walOf(frames: readonly (readonly [number, number])[], pageCount: number): Buffer {
  const header = Buffer.alloc(walHeaderBytes);
  salts.copy(header, 16);
  const parts = frames.map(([number, content], i) => {
    const head = Buffer.alloc(frameHeaderBytes);
    head.writeUInt32BE(number, 0);
    head.writeUInt32BE(i === frames.length - 1 ? pageCount : 0, 4);
    salts.copy(head, 8);
    head.writeUInt32BE(i + 1, 16);
    head.writeUInt32BE(7, 20);
    return Buffer.concat([head, page(content)]);
  });
  return Buffer.concat([header, ...parts]);
}

function indexOf(frames: number, pageCount: number): WalIndex {
  return { lastFrame: frames, pageCount, pageBytes, salts, frameChecksum: [frames, 7], backfilled: 0 };
}

async function readAll(stream: OverlayStream, bufferBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(bufferBytes, 0xee);
    const count = await stream.read(buffer);
    if (count === 0) return Buffer.concat(parts);
    parts.push(buffer.subarray(0, count));
  }
}

const frame = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 255 }));

test('any main file under any WAL reads, in pieces of any size, as each page in its newest version', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 12 }),
      fc.array(frame, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 3000 }),
      async (main, frames, pageCount, bufferBytes) => {
        const path = join(directory, 'x.db');
        writeFileSync(path, Buffer.concat(main.map(page)));
        writeFileSync(`${path}-wal`, walOf(frames, pageCount));
        const expected = Array.from({ length: pageCount }, (_, i) => {
          const newest = frames.findLast(([number]) => number === i + 1);
          return page(newest?.[1] ?? main[i] ?? 0);
        });
        const files = await openDatabaseFiles(path, true);
        const wal = mapWalPages(files.wal!.fd, indexOf(frames.length, pageCount), path);
        const state = { pageBytes, sizeBytes: pageCount * pageBytes, wal };
        const bytes = await readAll(new OverlayStream(files, state, () => {}), bufferBytes);
        await closeDatabaseFiles(files);
        expect(bytes.equals(Buffer.concat(expected))).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});

test('a WAL of another generation, one that is cut, or whose last frame is no commit of the state is refused', async () => {
  const path = join(directory, 'x.db');
  writeFileSync(path, page(1));
  const good = walOf(
    [
      [1, 2],
      [2, 3],
    ],
    2,
  );
  const attempt = async (bytes: Buffer, index: WalIndex): Promise<unknown> => {
    writeFileSync(`${path}-wal`, bytes);
    const files = await openDatabaseFiles(path, true);
    try {
      return mapWalPages(files.wal!.fd, index, path);
    } catch (error) {
      return error;
    } finally {
      await closeDatabaseFiles(files);
    }
  };
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] ^= 1;
    return copy;
  };
  expect(await attempt(good, indexOf(2, 2))).not.toBeInstanceOf(Error);
  const secondFrame = walHeaderBytes + frameHeaderBytes + pageBytes;
  const cases: [Buffer, WalIndex][] = [
    [flipped(16), indexOf(2, 2)],
    [flipped(walHeaderBytes + 8), indexOf(2, 2)],
    [flipped(secondFrame + 7), indexOf(2, 2)],
    [flipped(secondFrame + 19), indexOf(2, 2)],
    [good.subarray(0, -1), indexOf(2, 2)],
    [good.subarray(0, 10), indexOf(2, 2)],
    [good, indexOf(1, 2)],
    [good, indexOf(3, 2)],
  ];
  for (const [bytes, index] of cases) expect(await attempt(bytes, index)).toMatchObject({ code: 'source.changed' });
});

test('a state that is no longer held ends the stream', async () => {
  const path = join(directory, 'x.db');
  writeFileSync(path, page(1));
  const files = await openDatabaseFiles(path, false);
  let held = true;
  const check = (): void => {
    if (!held) throw new Error('lost');
  };
  const stream = new OverlayStream(files, plainState(pageBytes, pageBytes), check);
  expect(await stream.read(Buffer.alloc(100))).toBe(100);
  held = false;
  await expect(stream.read(Buffer.alloc(100))).rejects.toThrow('lost');
  await closeDatabaseFiles(files);
});

test('a wal-index whose two copies differ, or that nobody filled, says nothing', () => {
  const head = Buffer.alloc(walIndexHeadBytes);
  expect(parseWalIndex(head)).toBeUndefined();
  for (const at of [0, 48]) {
    head[at + 12] = 1;
    head.writeUInt16LE(1, at + 14);
    head.writeUInt32LE(9, at + 16);
    head.writeUInt32LE(5, at + 20);
  }
  head.writeUInt32LE(3, 96);
  expect(parseWalIndex(head)).toMatchObject({ pageBytes: 65536, lastFrame: 9, pageCount: 5, backfilled: 3 });
  head[20]++;
  expect(parseWalIndex(head)).toBeUndefined();
});
