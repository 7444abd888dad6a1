/**
 * What deduplication finds in a SQLite database that changes all over: new data per backup for fixed cuts and for the cut by
 * heat, with what the cut itself costs (ids in the tree, entries in the index).
 *
 *   node bench/dedup.ts [--rows 400000] [--row-bytes 2000] [--changes 10000] [--backups 6] [--place /var/tmp]
 */
import { hash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { cutRegion, HeatJudge, leafBytes, ParentCut, regionBytes } from '../src/repository/cutting/page-cutter.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '400000' },
    'row-bytes': { type: 'string', default: '2000' },
    changes: { type: 'string', default: '10000' },
    backups: { type: 'string', default: '6' },
    place: { type: 'string', default: '/var/tmp' },
  },
});
const rows = Number(values.rows);
const pageBytes = 4096;
/** Measured on repositories of random data: an id in a tree after compression, an index entry after compression, header and seal of a blob. */
const treeBytesPerBlob = 34;
const indexBytesPerBlob = 45;
const sealBytesPerBlob = 73;

const folder = mkdtempSync(join(values.place, 'holdfast-dedup-'));
const file = join(folder, 'rows.db');

function fillDatabase(): void {
  const db = new DatabaseSync(file);
  db.exec(
    `PRAGMA page_size=${pageBytes}; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE r(id INTEGER PRIMARY KEY, n INTEGER, body BLOB)`,
  );
  const insert = db.prepare('INSERT INTO r VALUES (?, 0, ?)');
  db.exec('BEGIN');
  for (let id = 0; id < rows; id++) insert.run(id, randomBytes(Number(values['row-bytes'])));
  db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
}

function changeRows(): void {
  const db = new DatabaseSync(file);
  const update = db.prepare('UPDATE r SET n = n + 1 WHERE id = ?');
  db.exec('BEGIN');
  for (let i = 0; i < Number(values.changes); i++) update.run(Math.floor(Math.random() * rows));
  db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  db.close();
}

interface Cut {
  readonly name: string;
  cut(region: Buffer, offset: number): { lengths: ArrayLike<number>; ids: Uint8Array };
  /** Called after each backup with the whole list. */
  done?(lengths: number[], ids: Buffer): void;
}

function fixedCut(bytes: number): Cut {
  return {
    name: bytes >= 1 << 20 ? '1 MiB' : `${bytes >> 10} KiB`,
    cut: (region) => {
      const lengths: number[] = [];
      const ids: Buffer[] = [];
      for (let at = 0; at < region.byteLength; at += bytes) {
        const part = region.subarray(at, at + bytes);
        lengths.push(part.byteLength);
        ids.push(hash('sha256', part, 'buffer'));
      }
      return { lengths, ids: Buffer.concat(ids) };
    },
  };
}

function heatCut(): Cut {
  let parent: ParentCut | undefined;
  let judge = new HeatJudge();
  return {
    name: 'by heat',
    cut: (region, offset) => {
      const before = parent?.region(offset);
      const rule = { leafBytes: leafBytes(pageBytes), hot: judge.hot };
      const cut = cutRegion(region.byteLength, before, rule, (at, bytes) =>
        hash('sha256', region.subarray(at, at + bytes), 'buffer'),
      );
      if (before) judge.saw(cut.changed);
      return cut;
    },
    done: (lengths, ids) => {
      parent = new ParentCut(ids, (i) => lengths[i]);
      judge = new HeatJudge();
    },
  };
}

function backup(cut: Cut, known: Set<string>): { blobs: number; newBlobs: number; newBytes: number } {
  const fd = openSync(file, 'r');
  const region = Buffer.alloc(regionBytes);
  const lengths: number[] = [];
  const ids: Uint8Array[] = [];
  let newBlobs = 0;
  let newBytes = 0;
  for (let offset = 0; ; offset += regionBytes) {
    const got = readSync(fd, region, 0, regionBytes, offset);
    if (got === 0) break;
    const pieces = cut.cut(region.subarray(0, got), offset);
    for (let i = 0; i < pieces.lengths.length; i++) {
      const id = Buffer.from(pieces.ids.slice(i * 32, i * 32 + 16)).toString('latin1');
      lengths.push(pieces.lengths[i]);
      if (known.has(id)) continue;
      known.add(id);
      newBlobs++;
      newBytes += pieces.lengths[i];
    }
    ids.push(Uint8Array.from(pieces.ids));
  }
  closeSync(fd);
  cut.done?.(lengths, Buffer.concat(ids));
  return { blobs: lengths.length, newBlobs, newBytes };
}

function changedPages(before: Uint8Array, after: Uint8Array): number {
  let changed = 0;
  for (let at = 0; at < after.byteLength; at += 16) {
    if (Buffer.compare(before.subarray(at, at + 16), after.subarray(at, at + 16)) !== 0) changed++;
  }
  return changed;
}

/** The first 16 bytes of each page's hash. */
function pageHashes(): Uint8Array {
  const fd = openSync(file, 'r');
  const page = Buffer.alloc(pageBytes);
  const hashes = new Uint8Array(Math.ceil(statSync(file).size / pageBytes) * 16);
  for (let at = 0; readSync(fd, page, 0, pageBytes, at * pageBytes) > 0; at++) {
    hashes.set(hash('sha256', page, 'buffer').subarray(0, 16), at * 16);
  }
  closeSync(fd);
  return hashes;
}

const mib = (bytes: number): string => (bytes / (1 << 20)).toFixed(1);

try {
  fillDatabase();
  const cuts = [fixedCut(8192), fixedCut(65_536), fixedCut(1 << 20), heatCut()].map((cut) => ({
    cut,
    known: new Set<string>(),
  }));
  console.log(
    `database ${mib(statSync(file).size)} MiB, pages of ${pageBytes}, ${values.changes} random row updates between backups`,
  );
  let before = pageHashes();
  for (let number = 1; number <= Number(values.backups); number++) {
    const after = pageHashes();
    const changedBytes = changedPages(before, after) * pageBytes;
    before = after;
    console.log(`\nbackup ${number}: changed pages ${mib(changedBytes)} MiB`);
    for (const { cut, known } of cuts) {
      const { blobs, newBlobs, newBytes } = backup(cut, known);
      const cost = blobs * treeBytesPerBlob + newBlobs * (indexBytesPerBlob + sealBytesPerBlob);
      const ratio = changedBytes === 0 ? '' : ` = ${((newBytes + cost) / changedBytes).toFixed(2)} x changed`;
      const perTb = (blobs * indexBytesPerBlob * 1e12) / statSync(file).size;
      console.log(
        `  ${cut.name.padEnd(8)} new data ${mib(newBytes).padStart(8)} MiB, cut costs ${mib(cost).padStart(6)} MiB${ratio}` +
          `; ${blobs} blobs, index ${(perTb / 1e9).toFixed(2)} GB per TB`,
      );
    }
    changeRows();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
