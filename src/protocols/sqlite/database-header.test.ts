import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLibraryVersion, parseDatabaseHeader } from './database-header.ts';
import { heldReadMark, holdsByte, parseLockTable } from './lock-table.ts';

test('the header SQLite writes is read as SQLite says it is', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-header-test-'));
  for (const [pageBytes, journal, encoding] of [
    [512, 'wal', 'UTF-16be'],
    [65536, 'delete', 'UTF-8'],
    [4096, 'delete', 'UTF-16le'],
  ] as const) {
    const path = join(directory, `${pageBytes}.db`);
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA encoding = '${encoding}'; PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = ${journal}`);
    db.exec('PRAGMA user_version = -3; PRAGMA application_id = 77; CREATE TABLE t (x)');
    const version = String(db.prepare('SELECT sqlite_version() AS v').get()?.v);
    db.close();
    const header = parseDatabaseHeader(readFileSync(path))!;
    expect(header).toMatchObject({
      pageBytes,
      encoding,
      userVersion: -3,
      applicationId: 77,
      journal: journal === 'wal' ? 'wal' : 'rollback',
    });
    expect(header.pageCount * pageBytes).toBe(readFileSync(path).length);
    expect(formatLibraryVersion(header.writerVersion)).toBe(version);
  }
  rmSync(directory, { recursive: true });
});

test('no bytes whatever make the parser throw, and noise is no header', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => parseDatabaseHeader(bytes) === undefined));
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(parseLockTable(text))));
});

test('the lock table of the kernel is read by process and byte', () => {
  const locks = parseLockTable(`1: POSIX  ADVISORY  READ  4242 fe:00:131 128 128
2: POSIX  ADVISORY  READ  4242 fe:00:131 124 124
2: -> POSIX  ADVISORY  WRITE 99 fe:00:131 124 124
3: FLOCK  ADVISORY  WRITE 77 00:19:5 0 EOF
4: POSIX  ADVISORY  WRITE 55 00:2a:18446744073709551615 0 EOF
`);
  expect(locks).toHaveLength(3);
  expect(heldReadMark(locks, 4242)).toBe(1);
  expect(heldReadMark(locks, 99)).toBeUndefined();
  expect(holdsByte(locks, 55, 5_000_000_000)).toBe(true);
});
