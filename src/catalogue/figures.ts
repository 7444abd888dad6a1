/** Numbers for metrics and overviews: each a statement that an index answers. */
import type { RunKind, RunState } from '../model/run-record.ts';
import type { Catalogue } from './open.ts';
import { firstIdOf } from './run-list.ts';

export interface RunCount {
  readonly kind: RunKind;
  readonly state: RunState;
  readonly count: number;
}

/** Runs queued since an instant, by kind and state. */
export async function countRunsByKind({ db }: Catalogue, sinceMs: number): Promise<RunCount[]> {
  const rows = await db
    .selectFrom('run')
    .select((eb) => ['kind', 'state', eb.fn.countAll<number>().as('count')])
    .where('id', '>=', firstIdOf(sinceMs))
    .groupBy(['kind', 'state'])
    .execute();
  return rows.map((row) => ({ kind: row.kind as RunKind, state: row.state as RunState, count: Number(row.count) }));
}

export interface QueueFigures {
  readonly queued: number;
  readonly running: number;
  /** Of those that may start already: since when the first of them waits. */
  readonly oldestMs?: number;
}

export async function queueFigures({ db }: Catalogue): Promise<QueueFigures> {
  const rows = await db
    .selectFrom('run')
    .select((eb) => ['state', eb.fn.countAll<number>().as('count'), eb.fn.min('notBeforeMs').as('oldestMs')])
    .where('state', 'in', ['queued', 'running'])
    .groupBy('state')
    .execute();
  const of = (state: string) => rows.find((row) => row.state === state);
  const oldestMs = of('queued')?.oldestMs;
  return {
    queued: Number(of('queued')?.count ?? 0),
    running: Number(of('running')?.count ?? 0),
    ...(oldestMs === undefined || oldestMs === null ? {} : { oldestMs: Number(oldestMs) }),
  };
}

export interface AgentFigures {
  readonly enrolled: number;
  /** Heard of since the instant. */
  readonly connected: number;
}

export async function agentFigures({ db }: Catalogue, sinceMs: number): Promise<AgentFigures> {
  const rows = await db.selectFrom('agent').select('seenAtMs').where('revokedAtMs', 'is', null).execute();
  return { enrolled: rows.length, connected: rows.filter((row) => (row.seenAtMs ?? 0) >= sinceMs).length };
}

/** Deliveries by channel and state, of events since an instant. */
export async function deliveryFigures(
  { db }: Catalogue,
  sinceMs: number,
): Promise<{ readonly channel: string; readonly state: string; readonly count: number }[]> {
  const rows = await db
    .selectFrom('delivery')
    .select((eb) => ['channel', 'state', eb.fn.countAll<number>().as('count')])
    .where('eventId', '>=', firstIdOf(sinceMs))
    .groupBy(['channel', 'state'])
    .execute();
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}

export interface SizeFigures {
  readonly repository: string;
  readonly atMs: number;
  readonly storedBytes: number;
  readonly restoredBytes?: number;
  readonly snapshots: number;
}

/** The newest look at each repository. */
export async function newestSizes({ db }: Catalogue): Promise<SizeFigures[]> {
  const newest = db
    .selectFrom('repositorySize')
    .select((eb) => ['repository', eb.fn.max('atMs').as('newestMs')])
    .groupBy('repository');
  const rows = await db
    .selectFrom('repositorySize as size')
    .innerJoin(newest.as('newest'), (join) =>
      join.onRef('newest.repository', '=', 'size.repository').onRef('newest.newestMs', '=', 'size.atMs'),
    )
    .select(['size.repository', 'size.atMs', 'size.storedBytes', 'size.restoredBytes', 'size.snapshots'])
    .execute();
  return rows.map(({ restoredBytes, ...row }) => ({ ...row, ...(restoredBytes === null ? {} : { restoredBytes }) }));
}
