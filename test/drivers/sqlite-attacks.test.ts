/** SQLite databases on other hosts under faults of every kind; FAULTS says how many for each way of copying. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { seedBank, transfer } from '../../src/drivers/sqlite/fixture.ts';
import { sourceOf } from '../../src/drivers/sqlite/fixture-run.ts';
import { sqlite } from '../../src/drivers/sqlite/index.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import type { Sshd } from '../servers/sshd.ts';
import type { FaultPlace } from './fault-place.ts';
import { openFarVictim, startFarSshd } from './fault-ssh.ts';
import { describeFaults, type Victim } from './fault-trial.ts';

for (const hold of ['python3', 'sqlite3', 'none'] as const) {
  let sshd: Sshd | undefined;
  describeFaults({
    title: `SQLite over SSH, ${hold === 'none' ? 'without a lock' : `held by ${hold}`}`,
    driver: sqlite,
    async open(place) {
      sshd ??= await startFarSshd(place);
      return await openVictim(place, sshd, hold);
    },
    close: async () => await sshd?.[Symbol.asyncDispose](),
  });
}

async function openVictim(place: FaultPlace, sshd: Sshd, hold: 'python3' | 'sqlite3' | 'none'): Promise<Victim> {
  const far = await openFarVictim(sshd);
  const path = join(place.folder, 'bank.db');
  seedBank({ path, blobs: 800 });
  const writer = new DatabaseSync(path);
  transfer(writer, 20, Math.random);
  const settings = { path, hold };
  return {
    source: async () => sourceOf(await far.connect(), settings, localHost()),
    disconnect: () => far.disconnect(),
    declared: { source: { ...settings, host: 'far' }, hosts: far.hosts },
    faults: far.faults(hold === 'none' ? undefined : hold),
    leftovers: async () => [...far.programs(), ...lockedOut(writer)],
    async [Symbol.asyncDispose]() {
      writer.close();
      await far[Symbol.asyncDispose]();
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
    },
  };
}

/** A program writes on, and puts all of its log into the database: nobody holds it in an older state. */
function lockedOut(writer: DatabaseSync): string[] {
  transfer(writer, 1, Math.random);
  const { busy } = writer.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
  return busy === 0 ? [] : ['a lock on the database'];
}
