/**
 * One row a source and repository with its newest snapshot and proofs. Written in the transaction that changes these, so that
 * an overview of ten thousand sources reads ten thousand rows and not the millions behind them.
 */
import { randomUUID } from 'node:crypto';
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { Catalogue } from '../open.ts';
import type { SourceStateTable, Tables } from '../tables.ts';

/** What the names of stamps begin with. */
export const contentStamps = 'content/';

/** Of one source in one repository. */
export interface KnownSource {
  readonly repository: string;
  readonly source: string;
  readonly snapshots: number;
  readonly oldestMs?: number;
  readonly newest?: { readonly id: string; readonly time: string; readonly timeMs: number; readonly bytes?: number };
  /** The newest drill of any of its snapshots. */
  readonly lastProof?: {
    readonly id: string;
    readonly snapshot: string;
    readonly startedAtMs: number;
    readonly verdict: 'passed' | 'failed';
    readonly restoreMs: number;
  };
  /** The newest that passed. */
  readonly lastPassed?: { readonly snapshot: string; readonly startedAtMs: number; readonly restoreMs: number };
}

/** All sources that any repository knows, or those of one repository or name; declared or not. By source and repository. */
export async function knownSources(
  { db, kind }: Catalogue,
  { repository, source }: { readonly repository?: string; readonly source?: string } = {},
): Promise<KnownSource[]> {
  const list = sql.join(columns.map((column) => sql.ref(column)));
  // As one text: of ten thousand rows most of the time would go into making objects of them.
  const array =
    kind === 'sqlite' ? sql`json_group_array(json_array(${list}) ` : sql`json_agg(json_build_array(${list}) `;
  const { rows } = await sql<{ found: string | null }>`
    select cast(${array} order by source, repository) as text) as found from source_state
    where ${repository === undefined ? sql`1 = 1` : sql`repository = ${repository}`}
      and ${source === undefined ? sql`1 = 1` : sql`source = ${source}`}`.execute(db);
  return (JSON.parse(rows[0].found ?? '[]') as Row[]).map(knownOf);
}

const columns = [
  'repository',
  'source',
  'snapshots',
  'oldestMs',
  'newestId',
  'newestMs',
  'newestTime',
  'newestBytes',
  'proofId',
  'proofSnapshot',
  'proofAtMs',
  'proofVerdict',
  'proofRestoreMs',
  'passedSnapshot',
  'passedAtMs',
  'passedRestoreMs',
] as const satisfies readonly (keyof SourceStateTable)[];

type Values<Names extends readonly (keyof SourceStateTable)[]> = {
  -readonly [Place in keyof Names]: SourceStateTable[Names[Place]];
};
type Row = Values<typeof columns>;

function knownOf(row: Row): KnownSource {
  const [repository, source, snapshots, oldestMs, id, timeMs, time, bytes, ...proven] = row;
  const [proofId, snapshot, startedAtMs, verdict, restoreMs, passedSnapshot, passedAtMs, passedRestoreMs] = proven;
  const known: Mutable<KnownSource> = { repository, source, snapshots };
  if (oldestMs !== null) known.oldestMs = oldestMs;
  if (id !== null) known.newest = { id, time: time!, timeMs: timeMs!, ...(bytes === null ? {} : { bytes }) };
  if (proofId !== null) {
    const judged = verdict as 'passed' | 'failed';
    known.lastProof = {
      ...{ id: proofId, snapshot: snapshot!, startedAtMs: startedAtMs! },
      ...{ verdict: judged, restoreMs: restoreMs! },
    };
  }
  if (passedAtMs !== null) {
    known.lastPassed = { snapshot: passedSnapshot!, startedAtMs: passedAtMs, restoreMs: passedRestoreMs! };
  }
  return known;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Writes the rows of some sources of a repository anew, or of all. */
export async function summarize({
  db,
  kind,
  repository,
  sources,
}: {
  readonly db: Transaction<Tables>;
  readonly kind: Catalogue['kind'];
  readonly repository: string;
  readonly sources?: readonly string[];
}): Promise<void> {
  if (sources?.length === 0) return;
  await stampContent(db, repository);
  const some = sources === undefined ? sql`` : sql` and source in ${listed(kind, sources)}`;
  const of = sql`repository = ${repository} and source is not null${some}`;
  await sql`delete from source_state where ${of}`.execute(db);
  await sql`
    insert into source_state (
      repository, source, snapshots, oldest_ms, newest_id, newest_ms, newest_time, newest_bytes,
      proof_id, proof_snapshot, proof_at_ms, proof_verdict, proof_restore_ms,
      passed_snapshot, passed_at_ms, passed_restore_ms
    )
    with newest as (
      select source, id, time_ms, time, bytes,
        row_number() over (partition by source order by time_ms desc, id desc) as place,
        count(*) over (partition by source) as snapshots,
        min(time_ms) over (partition by source) as oldest_ms
      from snapshot where ${of}
    ), proven as (
      select source, id, snapshot, started_at_ms, verdict, restore_ms,
        row_number() over (partition by source order by started_at_ms desc, id desc) as place,
        row_number() over (partition by source, verdict order by started_at_ms desc, id desc) as place_of_verdict
      from proof where ${of}
    ), known as (
      select source from newest where place = 1 union select source from proven where place = 1
    )
    select cast(${repository} as text), known.source, coalesce(newest.snapshots, 0), newest.oldest_ms, newest.id, newest.time_ms,
      newest.time, newest.bytes, proven.id, proven.snapshot, proven.started_at_ms, proven.verdict, proven.restore_ms,
      passed.snapshot, passed.started_at_ms, passed.restore_ms
    from known
    left join newest on newest.source = known.source and newest.place = 1
    left join proven on proven.source = known.source and proven.place = 1
    left join proven as passed
      on passed.source = known.source and passed.verdict = 'passed' and passed.place_of_verdict = 1
  `.execute(db);
}

/** Marks what is known of a repository as changed, for those who keep a copy of it in memory. */
export async function stampContent(db: Transaction<Tables>, repository: string): Promise<void> {
  const position = randomUUID();
  await db
    .insertInto('bookmark')
    .values({ name: `${contentStamps}${repository}`, position })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ position }))
    .execute();
}

function listed(kind: Catalogue['kind'], names: readonly string[]): RawBuilder<unknown> {
  const json = JSON.stringify(names);
  return kind === 'sqlite'
    ? sql`(select value from json_each(${json}))`
    : sql`(select jsonb_array_elements_text(${json}::jsonb))`;
}
