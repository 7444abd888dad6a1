import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { frameHeaderBytes, mapWalPages, walHeaderBytes } from './wal.ts';
import { parseWalGeneration, type RecoveredWal, recoverWal } from './wal-chain.ts';
import { parseWalIndex, walIndexHeadBytes } from './wal-index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-wal-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const pageBytes = 512;

interface Frame {
  readonly page: number;
  readonly content: number;
  /** Pages of the database if this frame ends a transaction, else 0. */
  readonly commit: number;
}

/** The checksum as fileformat2.html §4.2 puts it, one word at a time. */
function sumOf(big: boolean, bytes: Buffer, [first, second]: readonly [number, number]): [number, number] {
  let [a, b] = [BigInt(first), BigInt(second)];
  const word = (at: number): bigint => BigInt(big ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  for (let at = 0; at < bytes.length; at += 8) {
    a = (a + word(at) + b) & 0xffffffffn;
    b = (b + word(at + 4) + a) & 0xffffffffn;
  }
  return [Number(a), Number(b)];
}

function walOf(frames: readonly Frame[], big: boolean, salt = 0x1234): Buffer {
  const header = Buffer.alloc(walHeaderBytes);
  header.writeUInt32BE(big ? 0x377f0683 : 0x377f0682, 0);
  header.writeUInt32BE(3007000, 4);
  header.writeUInt32BE(pageBytes, 8);
  header.writeUInt32BE(salt, 16);
  header.writeUInt32BE(0xfedcba98, 20);
  let sum = sumOf(big, header.subarray(0, 24), [0, 0]);
  header.writeUInt32BE(sum[0], 24);
  header.writeUInt32BE(sum[1], 28);
  const parts = frames.map(({ page, content, commit }) => {
    const frame = Buffer.alloc(frameHeaderBytes + pageBytes, content);
    frame.writeUInt32BE(page, 0);
    frame.writeUInt32BE(commit, 4);
    header.copy(frame, 8, 16, 24);
    sum = sumOf(big, frame.subarray(0, 8), sum);
    sum = sumOf(big, frame.subarray(frameHeaderBytes), sum);
    frame.writeUInt32BE(sum[0], 16);
    frame.writeUInt32BE(sum[1], 20);
    return frame;
  });
  return Buffer.concat([header, ...parts]);
}

function recovered(bytes: Buffer): RecoveredWal | undefined {
  const path = join(directory, 'wal');
  writeFileSync(path, bytes);
  const generation = parseWalGeneration(bytes.subarray(0, walHeaderBytes));
  if (!generation) return undefined;
  const file = openSync(path, 'r');
  const found = recoverWal(file, generation);
  closeSync(file);
  return found;
}

/** What counts of the first `valid` frames, by the definition. */
function expectedOf(frames: readonly Frame[], valid: number) {
  const last = frames.slice(0, valid).findLastIndex(({ commit }) => commit > 0) + 1;
  const pageCount = last === 0 ? 0 : frames[last - 1].commit;
  const newest = new Map(frames.slice(0, last).map(({ page }, i) => [page, i]));
  const pages = [...newest.keys()].filter((page) => page <= pageCount).sort((a, b) => a - b);
  const position = (frame: number): number =>
    walHeaderBytes + frame * (frameHeaderBytes + pageBytes) + frameHeaderBytes;
  return { lastFrame: last, pageCount, pages, positions: pages.map((page) => position(newest.get(page)!)) };
}

function plain({ lastFrame, pageCount, pages }: RecoveredWal) {
  return { lastFrame, pageCount, pages: [...pages.pages], positions: [...pages.positions] };
}

const frames = fc.array(
  fc.record({ page: fc.integer({ min: 1, max: 9 }), content: fc.nat(255), commit: fc.constantFrom(0, 0, 4, 9) }),
  { maxLength: 20 },
);

test('frames count up to the last commit before the first that is damaged, cut off, or of another generation', () => {
  fc.assert(
    fc.property(
      frames,
      fc.boolean(),
      fc.nat(),
      fc.constantFrom('flip', 'cut', 'older', 'none'),
      (all, big, at, damage) => {
        const bytes = walOf(all, big);
        const frameBytes = frameHeaderBytes + pageBytes;
        const hit = all.length === 0 ? 0 : at % all.length;
        const start = walHeaderBytes + hit * frameBytes;
        let changed = bytes;
        if (damage === 'cut') changed = bytes.subarray(0, start + (at % frameBytes));
        if (damage === 'older')
          changed = Buffer.concat([bytes.subarray(0, start), walOf(all, big, 0x1233).subarray(start)]);
        if (damage === 'flip' && all.length > 0) {
          changed = Buffer.from(bytes);
          changed[start + (at % frameBytes)] ^= 1 << (at % 8);
        }
        expect(plain(recovered(changed)!)).toEqual(expectedOf(all, damage === 'none' ? all.length : hit));
      },
    ),
    { numRuns: 300 },
  );
});

test('a header of which one bit is different is none', () => {
  const bytes = walOf([{ page: 1, content: 1, commit: 1 }], false);
  expect(recovered(bytes)?.lastFrame).toBe(1);
  for (let bit = 0; bit < walHeaderBytes * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] ^= 1 << (bit & 7);
    expect(parseWalGeneration(changed)).toBeUndefined();
  }
  expect(parseWalGeneration(bytes.subarray(0, 31))).toBeUndefined();
});

test.each([512, 4096, 65536])('what SQLite wrote is found as its own index has it, pages of %i', (size) => {
  const path = join(directory, 'x.db');
  using db = new DatabaseSync(path);
  db.exec(`PRAGMA page_size = ${size}; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 10;
    CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)`);
  for (let i = 0; i < 30; i++)
    db.exec(`INSERT INTO t VALUES (${i}, randomblob(${700 * i})); UPDATE t SET b = x'00' WHERE id = ${i - 9}`);
  // spilled into the WAL, and not committed
  db.exec('BEGIN; UPDATE t SET b = randomblob(9000)');
  const index = parseWalIndex(readFileSync(`${path}-shm`).subarray(0, walIndexHeadBytes))!;
  const file = openSync(`${path}-wal`, 'r');
  const generation = parseWalGeneration(readFileSync(`${path}-wal`).subarray(0, walHeaderBytes))!;
  const found = recoverWal(file, generation);
  expect(found.lastFrame).toBe(index.lastFrame);
  expect(found.pageCount).toBe(index.pageCount);
  expect(found.pages).toEqual(mapWalPages(file, index, 'x.db'));
  closeSync(file);
  db.exec('ROLLBACK');
});
