import { readdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { seedBank } from '../../src/drivers/sqlite/fixture.ts';
import { playground, sourceOf, startWriter } from '../../src/drivers/sqlite/fixture-run.ts';
import { sqlite } from '../../src/drivers/sqlite/index.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

describeDriver('SQLite in WAL mode', () => openBank('wal'));
describeDriver('SQLite with a rollback journal', () => openBank('delete'));

async function openBank(journal: 'wal' | 'delete'): Promise<DriverTrial> {
  const place = playground();
  const host = localHost();
  const path = place.path('bank.db');
  seedBank({ path, journal, blobs: 1000 });
  const spoolDirectory = place.directory;
  const expected = new Set(['bank.db', 'bank.db-wal', 'bank.db-shm', 'elsewhere.db']);
  return {
    driver: sqlite,
    server: `SQLite ${process.versions.sqlite}`,
    source: sourceOf(host, { path, spoolDirectory }),
    trial: {
      async disturb() {
        const writer = await startWriter({ path, perSecond: 100 });
        let stopped = false;
        return {
          async [Symbol.asyncDispose]() {
            if (!stopped) await writer.stop();
            stopped = true;
          },
        };
      },
      async damage(copy) {
        using db = new DatabaseSync(copy.environment.HOLDFAST_COPY);
        db.exec('UPDATE account SET balance = balance + 1 WHERE id = 7');
      },
      refused: [sourceOf(host, { path: place.path('missing.db') }), sourceOf(host, { path: '/etc/passwd' })],
      elsewhere: async () => {
        const target = place.path('elsewhere.db');
        return { target, source: sourceOf(host, { path: target }) };
      },
      leftovers: async () => readdirSync(place.directory).filter((name) => !expected.has(name)),
    },
    [Symbol.asyncDispose]: async () => place[Symbol.dispose](),
  };
}
