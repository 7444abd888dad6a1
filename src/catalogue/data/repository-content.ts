/** What a repository lists, copied: snapshots, proofs and pins. The repository is the truth; all of this can be read from it again. */
import { setImmediate } from 'node:timers/promises';
import { type Insertable, sql, type Transaction } from 'kysely';
import type { StoredProof } from '../../model/proof.ts';
import { driverOf, runOf, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import type { Catalogue } from '../open.ts';
import type { ProofTable, SnapshotTable, Tables } from '../tables.ts';
import { inTransaction, storable } from '../transaction.ts';
import { wake } from '../wake.ts';
import { stampContent, summarize } from './summary.ts';

export interface RepositoryContent {
  readonly snapshots: readonly StoredSnapshot[];
  readonly proofs: readonly StoredProof[];
  /** Ids of pinned snapshots. */
  readonly pins: ReadonlySet<string>;
}

export interface ContentChange {
  readonly snapshots: { readonly added: readonly StoredSnapshot[]; readonly removed: readonly string[] };
  readonly proofs: { readonly added: readonly StoredProof[]; readonly removed: readonly string[] };
  readonly pins: ReadonlySet<string>;
}

/** Rows a statement writes: bounded by the parameters SQLite takes. */
const rowsAtOnce = 500;

/** Ids of what is known to be in a repository. */
export async function knownContent(
  catalogue: Catalogue,
  repository: string,
): Promise<{ readonly snapshots: ReadonlySet<string>; readonly proofs: ReadonlySet<string> }> {
  const [snapshots, proofs] = await Promise.all([
    idsIn(catalogue, 'snapshot', repository),
    idsIn(catalogue, 'proof', repository),
  ]);
  return { snapshots, proofs };
}

/** As one text: of a hundred thousand rows most of the time would go into making objects of them. */
async function idsIn(
  { db, kind }: Catalogue,
  table: 'snapshot' | 'proof',
  repository: string,
): Promise<ReadonlySet<string>> {
  const joined = kind === 'sqlite' ? sql<string | null>`group_concat(id)` : sql<string | null>`string_agg(id, ',')`;
  const row = await db
    .selectFrom(table)
    .select(joined.as('ids'))
    .where('repository', '=', repository)
    .executeTakeFirstOrThrow();
  return new Set(row.ids === null ? [] : row.ids.split(','));
}

/**
 * Replaces all that is known of a repository; whoever reads meanwhile sees what was known before. In chunks: memory is that of
 * the argument, and other work of this process goes on between them.
 */
export async function replaceRepository(
  catalogue: Catalogue,
  repository: string,
  { snapshots, proofs, pins }: RepositoryContent,
): Promise<void> {
  await inTransaction(catalogue, async ({ db, kind }) => {
    for (const table of ['snapshot', 'proof'] as const) {
      await db.deleteFrom(table).where('repository', '=', repository).execute();
    }
    await insertAll(db, repository, { snapshots, proofs, pins });
    await summarize({ db, kind, repository });
  });
  wake(catalogue, 'content');
}

/** Takes over what changed since it was known. A snapshot or proof that is known already stays as it is. */
export async function changeRepository(
  catalogue: Catalogue,
  repository: string,
  { snapshots, proofs, pins }: ContentChange,
): Promise<void> {
  await inTransaction(catalogue, async ({ db, kind }) => {
    const sources = new Set<string>();
    for (const source of await removeAll(db, repository, 'snapshot', snapshots.removed)) sources.add(source);
    for (const source of await removeAll(db, repository, 'proof', proofs.removed)) sources.add(source);
    await insertAll(db, repository, { snapshots: snapshots.added, proofs: proofs.added, pins });
    await changePins(db, repository, pins);
    for (const one of snapshots.added) sources.add(sourceColumn(one) ?? '');
    for (const one of proofs.added) sources.add(storable(one.source));
    await summarize({ db, kind, repository, sources: [...sources] });
  });
  wake(catalogue, 'content');
}

/** A repository that is declared no more. */
export async function forgetRepository(catalogue: Catalogue, repository: string): Promise<void> {
  await inTransaction(catalogue, async ({ db }) => {
    for (const table of ['snapshot', 'proof', 'sourceState', 'repositorySize', 'repositoryState'] as const) {
      await db.deleteFrom(table).where('repository', '=', repository).execute();
    }
    await stampContent(db, repository);
  });
  wake(catalogue, 'content');
}

async function insertAll(
  db: Transaction<Tables>,
  repository: string,
  { snapshots, proofs, pins }: RepositoryContent,
): Promise<void> {
  for (const some of chunks(snapshots)) {
    const rows = some.map((one) => snapshotRow(repository, one, pins.has(one.id)));
    await db
      .insertInto('snapshot')
      .values(rows)
      .onConflict((conflict) => conflict.columns(['repository', 'id']).doNothing())
      .execute();
    await setImmediate();
  }
  for (const some of chunks(proofs)) {
    await db
      .insertInto('proof')
      .values(some.map((one) => proofRow(repository, one)))
      .onConflict((conflict) => conflict.columns(['repository', 'id']).doNothing())
      .execute();
    await setImmediate();
  }
}

/** Gives the sources whose rows went. */
async function removeAll(
  db: Transaction<Tables>,
  repository: string,
  table: 'snapshot' | 'proof',
  ids: readonly string[],
): Promise<string[]> {
  const sources: string[] = [];
  for (const some of chunks(ids)) {
    const gone = await db
      .deleteFrom(table)
      .where('repository', '=', repository)
      .where('id', 'in', some)
      .returning('source')
      .execute();
    sources.push(...gone.flatMap(({ source }) => (source === null ? [] : [source])));
    await setImmediate();
  }
  return sources;
}

async function changePins(db: Transaction<Tables>, repository: string, pins: ReadonlySet<string>): Promise<void> {
  const rows = await db
    .selectFrom('snapshot')
    .select('id')
    .where('repository', '=', repository)
    // Literally: so it is the condition of the index.
    .where('pinned', '=', sql.lit(1))
    .execute();
  const known = new Set(rows.map((row) => row.id));
  const changes = [
    { ids: [...known].filter((id) => !pins.has(id)), pinned: 0 },
    { ids: [...pins].filter((id) => !known.has(id)), pinned: 1 },
  ];
  for (const { ids, pinned } of changes) {
    for (const some of chunks(ids)) {
      await db
        .updateTable('snapshot')
        .set({ pinned })
        .where('repository', '=', repository)
        .where('id', 'in', some)
        .execute();
    }
  }
}

function* chunks<Item>(items: readonly Item[]): Iterable<Item[]> {
  for (let at = 0; at < items.length; at += rowsAtOnce) yield items.slice(at, at + rowsAtOnce);
}

function sourceColumn(snapshot: StoredSnapshot): string | null {
  const source = sourceOf(snapshot);
  return source === undefined ? null : storable(source);
}

function snapshotRow(repository: string, snapshot: StoredSnapshot, isPinned: boolean): Insertable<SnapshotTable> {
  const text = (value: string | undefined): string | null => (value === undefined ? null : storable(value));
  return {
    repository,
    id: snapshot.id,
    source: sourceColumn(snapshot),
    driver: text(driverOf(snapshot)),
    run: text(runOf(snapshot)),
    timeMs: snapshot.timeMs,
    time: snapshot.time,
    host: storable(snapshot.hostname ?? ''),
    bytes: snapshot.summary?.totalBytesProcessed ?? null,
    addedBytes: snapshot.summary?.dataAddedPacked ?? null,
    pinned: isPinned ? 1 : 0,
    document: JSON.stringify(snapshot),
  };
}

function proofRow(repository: string, proof: StoredProof): Insertable<ProofTable> {
  return {
    repository,
    id: proof.id,
    snapshot: proof.snapshot,
    source: storable(proof.source),
    startedAtMs: Math.round(proof.startedAtMs),
    restoreMs: Math.round(proof.restoreMs),
    verdict: proof.verdict,
    document: JSON.stringify(proof),
  };
}
