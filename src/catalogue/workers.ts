/** Workers and their signs of life. */
import type { Catalogue } from './open.ts';
import { storable } from './transaction.ts';

export interface WorkerFacts {
  /** Unique while it lives: host and process. */
  readonly name: string;
  readonly startedAtMs: number;
  readonly version: string;
  /** Capacity, host name, what it runs: for people who look. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface SeenWorker extends WorkerFacts {
  /** By the catalogue's clock. */
  readonly seenAtMs: number;
}

export async function sayAlive(
  catalogue: Catalogue,
  { name, startedAtMs, version, facts }: WorkerFacts,
): Promise<void> {
  const row = { startedAtMs, seenAtMs: await catalogue.nowMs(), version, facts: storable(JSON.stringify(facts)) };
  await catalogue.db
    .insertInto('worker')
    .values({ name, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}

/** By name. */
export async function listWorkers({ db }: Catalogue): Promise<SeenWorker[]> {
  const rows = await db.selectFrom('worker').selectAll().orderBy('name').execute();
  return rows.map((row) => ({ ...row, facts: JSON.parse(row.facts) as WorkerFacts['facts'] }));
}

/** One that ended in order. */
export async function removeWorker({ db }: Catalogue, name: string): Promise<void> {
  await db.deleteFrom('worker').where('name', '=', name).execute();
}

/** Those not heard of since an instant; gives their names. */
export async function removeSilentWorkers({ db }: Catalogue, beforeMs: number): Promise<string[]> {
  const rows = await db.deleteFrom('worker').where('seenAtMs', '<', beforeMs).returning('name').execute();
  return rows.map((row) => row.name);
}
