/** The suite of every driver, for SQLite databases that lie on other hosts. */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { seedBank } from '../../src/drivers/sqlite/fixture.ts';
import { playground, sourceOf, startWriter } from '../../src/drivers/sqlite/fixture-run.ts';
import { sqlite } from '../../src/drivers/sqlite/index.ts';
import type { Settings } from '../../src/drivers/sqlite/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { startSshd } from '../servers/sshd.ts';
import { settingsOf, tools } from '../support/ssh-hosts.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

describeDriver('SQLite in WAL mode over SSH, held by python3', () => openBank('python3'));
describeDriver('SQLite in WAL mode over SSH, held by sqlite3', () => openBank('sqlite3'));
describeDriver('SQLite in WAL mode over SSH, without a lock', () => openBank('none'));

async function openBank(hold: Settings['hold']): Promise<DriverTrial> {
  const place = playground();
  const local = localHost();
  const sshd = await startSshd();
  const host = await sshHost.open('far', settingsOf(sshd), tools());
  const path = place.path('bank.db');
  seedBank({ path, blobs: 300 });
  const settings = { hold, attempts: 12, spoolDirectory: tmpdir(), maxWriterPauseMs: 10_000 };
  const expected = new Set(['bank.db', 'bank.db-wal', 'bank.db-shm', 'elsewhere.db']);
  const source = (at: string) => sourceOf(host, { path: at, ...settings }, local);
  return {
    driver: sqlite,
    server: `SQLite ${process.versions.sqlite}`,
    source: source(path),
    trial: {
      async disturb() {
        // without a lock, a log that is never restarted is what makes a copy certain however slow the machine is
        const autocheckpoint = hold === 'none' ? 1_000_000 : 1000;
        const writer = await startWriter({ path, perSecond: 50, autocheckpoint });
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
        db.exec(
          'UPDATE account SET balance = balance + 1 WHERE id = (SELECT id FROM account ORDER BY random() LIMIT 1)',
        );
      },
      refused: [source(place.path('missing.db')), source('/etc/passwd')],
      elsewhere: async () => {
        const target = place.path('elsewhere.db');
        return { target, source: source(target) };
      },
      leftovers: async () => readdirSync(place.directory).filter((name) => !expected.has(name)),
    },
    [Symbol.asyncDispose]: async () => {
      await host.close();
      await sshd[Symbol.asyncDispose]();
      place[Symbol.dispose]();
    },
  };
}
