/** What a period held, asked of the catalogue day by day: no statement looks at more than a day's runs. */

import type { Catalogue } from '../../catalogue/open.ts';
import { firstIdOf } from '../../catalogue/run-list.ts';
import type { RunKind, RunState } from '../../model/run-record.ts';
import { dayOf } from './period.ts';

export interface DayFact {
  readonly day: number;
  readonly kind: RunKind;
  readonly state: RunState;
  readonly source: string | null;
  readonly repository: string | null;
  readonly count: number;
  readonly bytes: number;
  readonly addedBytes: number;
  readonly longestMs: number;
}

/**
 * Runs by what they worked on and how they ended, by the day they were due (asked for, if nothing was due). One that was
 * found missed, or made up for, up to `lateMs` after the period still counts for its day.
 */
export async function* dayFacts(
  { db }: Catalogue,
  boundaries: readonly number[],
  lateMs: number,
): AsyncGenerator<DayFact[]> {
  const [sinceMs, untilMs] = [boundaries[0], boundaries.at(-1)!];
  const looks = [...boundaries.slice(0, -1), ...stepsAfter(untilMs, lateMs)];
  for (const [i, from] of looks.entries()) {
    const rows = await db
      .selectFrom('run')
      .select(({ fn, ref }) => [
        'kind',
        'state',
        'source',
        'repository',
        fn.coalesce('slotMs', 'queuedAtMs').as('dueMs'),
        fn.countAll<number>().as('count'),
        fn.sum<number | null>('bytes').as('bytes'),
        fn.sum<number | null>('addedBytes').as('addedBytes'),
        fn.max<number | null>(({ eb }) => eb(ref('endedAtMs'), '-', ref('startedAtMs'))).as('longestMs'),
      ])
      .where('id', '>=', firstIdOf(from))
      .where('id', '<', firstIdOf(looks[i + 1] ?? untilMs + lateMs))
      .groupBy(['kind', 'state', 'source', 'repository', 'dueMs'])
      .execute();
    yield rows
      .filter(({ dueMs }) => Number(dueMs) >= sinceMs && Number(dueMs) < untilMs)
      .map((row) => ({
        day: dayOf(boundaries, Number(row.dueMs)),
        kind: row.kind as RunKind,
        state: row.state as RunState,
        source: row.source,
        repository: row.repository,
        count: Number(row.count),
        bytes: Number(row.bytes ?? 0),
        addedBytes: Number(row.addedBytes ?? 0),
        longestMs: Number(row.longestMs ?? 0),
      }));
  }
}

function stepsAfter(untilMs: number, lateMs: number): number[] {
  const dayMs = 86_400_000;
  return Array.from({ length: Math.ceil(lateMs / dayMs) }, (_, i) => untilMs + i * dayMs);
}

export interface SizeFact {
  readonly repository: string;
  readonly atMs: number;
  readonly storedBytes: number;
  readonly snapshots: number;
}

/** First and last size of each repository that was looked at within the period. */
export async function sizeFacts({ db }: Catalogue, sinceMs: number, untilMs: number): Promise<SizeFact[]> {
  const ends = db
    .selectFrom('repositorySize')
    .select(({ fn }) => ['repository', fn.min('atMs').as('first'), fn.max('atMs').as('last')])
    .where('atMs', '>=', sinceMs)
    .where('atMs', '<', untilMs)
    .groupBy('repository');
  return await db
    .selectFrom('repositorySize as size')
    .innerJoin(ends.as('ends'), 'ends.repository', 'size.repository')
    .where(({ eb, or, ref }) => or([eb('size.atMs', '=', ref('ends.first')), eb('size.atMs', '=', ref('ends.last'))]))
    .select(['size.repository', 'size.atMs', 'size.storedBytes', 'size.snapshots'])
    .orderBy('size.repository')
    .orderBy('size.atMs')
    .execute();
}
