import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { SourceContext } from '../driver.ts';
import { bankFaults, seedBank, transfer } from './fixture.ts';
import { backUp, filesDigest, type Playground, playground, sourceOf } from './fixture-run.ts';
import type { Settings } from './settings.ts';
import { compareCopy } from './throwaway.ts';

const host = localHost();
let place: Playground;
beforeEach(() => {
  place = playground();
});
afterEach(() => place[Symbol.dispose]());

/** The copy, restored into a throwaway by plain means, must give every fact again. */
async function expectProven(source: SourceContext<Settings>, file: string, fingerprint: Fingerprint | undefined) {
  using throwaway = playground();
  copyFileSync(file, throwaway.path('copy.db'));
  const copy = { throwaway: { directory: throwaway.directory, host: source.local }, path: throwaway.path('copy.db') };
  const checks = await compareCopy(source, copy, fingerprint);
  expect(checks.length).toBeGreaterThan(0);
  expect(checks.filter((check) => !check.ok)).toEqual([]);
}

function withDatabase(path: string, task: (db: DatabaseSync) => void): void {
  using db = new DatabaseSync(path);
  task(db);
}

/** Copies db and WAL of an open database: what a crash leaves. */
function crashedCopy(from: string, to: string): void {
  for (const suffix of ['', '-wal']) if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
}

type State = (path: string, pageBytes: number) => void;
const states: Record<string, State> = {
  'closed, no WAL file': (path, pageBytes) => seedBank({ path, pageBytes, accounts: 20, blobs: 20 }),
  'a crashed writer left a WAL': (path, pageBytes) => {
    const live = `${path}.live`;
    seedBank({ path: live, pageBytes, accounts: 20, blobs: 20 });
    withDatabase(live, (db) => {
      db.exec('PRAGMA wal_autocheckpoint = 0');
      for (let i = 0; i < 20; i++) transfer(db, 2, Math.random);
      crashedCopy(live, path);
    });
    rmSync(live);
  },
  'a checkpoint stopped half way': (path, pageBytes) => {
    const live = `${path}.live`;
    seedBank({ path: live, pageBytes, accounts: 20, blobs: 20 });
    withDatabase(live, (db) => {
      db.exec('PRAGMA wal_autocheckpoint = 0');
      transfer(db, 10, Math.random);
      using reader = new DatabaseSync(live);
      reader.exec('BEGIN; SELECT count(*) FROM ledger');
      reader.prepare('SELECT count(*) FROM ledger').get();
      transfer(db, 10, Math.random);
      db.exec('PRAGMA wal_checkpoint(PASSIVE)');
      transfer(db, 3, Math.random);
      crashedCopy(live, path);
    });
    rmSync(live);
  },
  'vacuum made it smaller, in the WAL only': (path, pageBytes) => {
    const live = `${path}.live`;
    seedBank({ path: live, pageBytes, accounts: 20, blobs: 200 });
    withDatabase(live, (db) => {
      db.exec('PRAGMA wal_autocheckpoint = 0; DELETE FROM page WHERE id > 20; VACUUM');
      crashedCopy(live, path);
    });
    rmSync(live);
  },
  'rollback journal': (path, pageBytes) => seedBank({ path, pageBytes, accounts: 20, blobs: 20, journal: 'delete' }),
};

for (const [state, prepare] of Object.entries(states)) {
  test.each([512, 4096, 65536])(
    `a database that is at rest is copied exactly and left as it is: ${state}, pages of %i`,
    async (pageBytes) => {
      const directory = place.path('source');
      mkdirSync(directory);
      const path = `${directory}/bank.db`;
      prepare(path, pageBytes);
      const before = filesDigest(directory);
      const source = sourceOf(host, { path });
      const { fingerprint, facts } = await backUp(source, place.path('copy.db'));
      expect(filesDigest(directory)).toEqual(before);
      expect(bankFaults(place.path('copy.db'))).toEqual([]);
      expect(facts.pageBytes).toBe(pageBytes);
      await expectProven(source, place.path('copy.db'), fingerprint);
    },
  );
}
