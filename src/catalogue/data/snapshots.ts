/** Snapshots and proofs as the repositories list them, from the catalogue: no repository is asked. */
import type { StoredProof } from '../../model/proof.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { isAmong } from '../among.ts';
import type { Catalogue } from '../open.ts';

export interface ContentFilter {
  readonly source?: string;
  readonly repository?: string;
  /** From this instant, and before that one. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** Only those of sources that somebody may see. */
  readonly sources?: readonly string[];
}

export interface PageOf {
  readonly cursor?: string;
  readonly limit: number;
}

export interface KnownSnapshot {
  readonly repository: string;
  readonly pinned: boolean;
  readonly snapshot: StoredSnapshot;
}

/** Newest first. `next` is absent after the last. A cursor that is none begins at the newest. */
export async function listKnownSnapshots(
  { db, kind }: Catalogue,
  { source, repository, sinceMs, untilMs, sources }: ContentFilter,
  { cursor, limit }: PageOf,
): Promise<{ readonly snapshots: readonly KnownSnapshot[]; readonly next?: string }> {
  const after = cursorOf(cursor);
  const rows = await db
    .selectFrom('snapshot')
    .select(['repository', 'id', 'timeMs', 'pinned', 'document'])
    .$if(source !== undefined, (q) => q.where('source', '=', source!))
    .$if(repository !== undefined, (q) => q.where('repository', '=', repository!))
    .$if(sinceMs !== undefined, (q) => q.where('timeMs', '>=', sinceMs!))
    .$if(untilMs !== undefined, (q) => q.where('timeMs', '<', untilMs!))
    .$if(sources !== undefined, (q) => q.where(({ ref }) => isAmong(kind, ref('source'), sources!)))
    .$if(after !== undefined, (q) =>
      q.where(({ eb, refTuple, tuple }) => eb(refTuple('timeMs', 'id'), '<', tuple(after!.atMs, after!.id))),
    )
    .orderBy('timeMs', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    snapshots: page.map((row) => ({
      repository: row.repository,
      pinned: row.pinned !== 0,
      snapshot: JSON.parse(row.document) as StoredSnapshot,
    })),
    ...(rows.length > limit && last ? { next: `${last.timeMs}-${last.id}` } : {}),
  };
}

/** Whose id begins so, in whichever repository; at most 10. */
export async function findKnownSnapshots({ db }: Catalogue, prefix: string): Promise<KnownSnapshot[]> {
  const rows = await db
    .selectFrom('snapshot')
    .select(['repository', 'pinned', 'document'])
    .where('id', '>=', prefix)
    .where('id', '<', `${prefix}g`)
    .limit(10)
    .execute();
  return rows.map(({ repository, pinned, document }) => ({
    repository,
    pinned: pinned !== 0,
    snapshot: JSON.parse(document) as StoredSnapshot,
  }));
}

export interface KnownProof {
  readonly repository: string;
  readonly proof: StoredProof;
}

/** Newest first, as `listKnownSnapshots`. */
export async function listKnownProofs(
  { db, kind }: Catalogue,
  { source, repository, sinceMs, untilMs, sources }: ContentFilter,
  { cursor, limit }: PageOf,
): Promise<{ readonly proofs: readonly KnownProof[]; readonly next?: string }> {
  const after = cursorOf(cursor);
  const rows = await db
    .selectFrom('proof')
    .select(['repository', 'id', 'startedAtMs', 'document'])
    .$if(source !== undefined, (q) => q.where('source', '=', source!))
    .$if(repository !== undefined, (q) => q.where('repository', '=', repository!))
    .$if(sinceMs !== undefined, (q) => q.where('startedAtMs', '>=', sinceMs!))
    .$if(untilMs !== undefined, (q) => q.where('startedAtMs', '<', untilMs!))
    .$if(sources !== undefined, (q) => q.where(({ ref }) => isAmong(kind, ref('source'), sources!)))
    .$if(after !== undefined, (q) =>
      q.where(({ eb, refTuple, tuple }) => eb(refTuple('startedAtMs', 'id'), '<', tuple(after!.atMs, after!.id))),
    )
    .orderBy('startedAtMs', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    proofs: page.map(({ repository: name, document }) => ({
      repository: name,
      proof: JSON.parse(document) as StoredProof,
    })),
    ...(rows.length > limit && last ? { next: `${last.startedAtMs}-${last.id}` } : {}),
  };
}

/** The newest proof of each of these snapshots, by snapshot. */
export async function newestProofsOf(
  { db }: Catalogue,
  snapshots: readonly string[],
): Promise<ReadonlyMap<string, StoredProof>> {
  if (snapshots.length === 0) return new Map();
  const rows = await db
    .selectFrom('proof')
    .select(['snapshot', 'document'])
    .where('snapshot', 'in', snapshots)
    .orderBy('startedAtMs')
    .execute();
  return new Map(rows.map((row) => [row.snapshot, JSON.parse(row.document) as StoredProof]));
}

/** An instant and an id. */
function cursorOf(cursor: string | undefined): { readonly atMs: number; readonly id: string } | undefined {
  const match = /^(-?\d+)-([0-9a-f]{64})$/.exec(cursor ?? '');
  return match ? { atMs: Number(match[1]), id: match[2] } : undefined;
}
