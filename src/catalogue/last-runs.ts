/**
 * The last run of each source and kind that ended, and of drills in each repository. Kept in memory for each catalogue and brought up to date by what has
 * happened since: asking a million runs takes a second, asking what is new a millisecond.
 */
import { setImmediate } from 'node:timers/promises';
import { type RawBuilder, sql } from 'kysely';
import { type RunError, type RunKind, type RunState, runKinds } from '../model/run-record.ts';
import type { Catalogue } from './open.ts';

export interface EndedRun {
  readonly id: string;
  readonly kind: RunKind;
  readonly source: string;
  readonly repository?: string;
  readonly state: Extract<RunState, 'succeeded' | 'failed' | 'cancelled' | 'missed'>;
  readonly startedAtMs?: number;
  /** For one that never began: when it was given up. */
  readonly endedAtMs: number;
  readonly bytes?: number;
  readonly addedBytes?: number;
  readonly error?: RunError;
}

export interface LastRuns {
  /** By source, then by kind. */
  readonly ofKind: ReadonlyMap<string, ReadonlyMap<RunKind, EndedRun>>;
  /**
   * By source, then by repository: the last drill that came to an end, well or not. What was left out or cancelled says nothing
   * of a repository. One of which nobody knows which it was to read is under '', until a later one tells more.
   */
  readonly drills: ReadonlyMap<string, ReadonlyMap<string, EndedRun>>;
}

interface Memory extends LastRuns {
  readonly ofKind: Map<string, Map<RunKind, EndedRun>>;
  readonly drills: Map<string, Map<string, EndedRun>>;
  seen: string;
}

const memories = new WeakMap<Catalogue, Promise<Memory>>();
const telling = ['succeeded', 'failed', 'missed'];
const final = [...telling, 'cancelled'];
const readAtOnce = 500;
/** SQLite answers in this process: a few milliseconds each time. */
const sourcesAtOnce = { sqlite: 100, postgres: 1000 };
const columns = [
  'run.id',
  'run.kind',
  'run.source',
  'run.repository',
  'run.state',
  'run.startedAtMs',
  'run.endedAtMs',
  'run.queuedAtMs',
  'run.bytes',
  'run.addedBytes',
  'run.error',
] as const;

/** As of now. What it gives changes with later calls. */
export async function lastRuns(catalogue: Catalogue): Promise<LastRuns> {
  const before = memories.get(catalogue);
  // One at a time: each goes on from where the one before it came to.
  const next = before === undefined ? load(catalogue) : before.then((memory) => catchUp(catalogue, memory));
  memories.set(catalogue, next);
  try {
    return await next;
  } catch (error) {
    if (memories.get(catalogue) === next) memories.delete(catalogue);
    throw error;
  }
}

async function load(catalogue: Catalogue): Promise<Memory> {
  const { db } = catalogue;
  const newest = await db.selectFrom('happening').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  const memory: Memory = { ofKind: new Map(), drills: new Map(), seen: newest?.id ?? '' };
  for (let last = ''; ; ) {
    const sources = await sourcesAfter(catalogue, last);
    const ids = [...(await lastIds(catalogue, sources)), ...(await lastDrillIds(catalogue, sources))];
    const rows = ids.length === 0 ? [] : await db.selectFrom('run').select(columns).where('id', 'in', ids).execute();
    for (const row of rows) remember(memory, row);
    if (sources.length < sourcesAtOnce[catalogue.kind]) return memory;
    last = sources[sources.length - 1];
    // Others have their turn.
    await setImmediate();
  }
}

/** The next ones that have runs, by jumps along an index from each to the next: their number counts, not that of the runs. */
async function sourcesAfter({ db, kind }: Catalogue, last: string): Promise<string[]> {
  const { rows } = await sql<{ source: string }>`
    with recursive jump(source) as (
      select min(source) from run where source > ${last}
      union all
      select (select min(source) from run where run.source > jump.source) from jump where jump.source is not null
    )
    select source from jump where source is not null limit ${sourcesAtOnce[kind]}`.execute(db);
  return rows.map((row) => row.source);
}

/** Of the newest run of each kind that ended. */
async function lastIds({ db, kind }: Catalogue, sources: readonly string[]): Promise<string[]> {
  const ended = sql.join(final.map((state) => sql.lit(state)));
  const { rows } = await sql<{ id: string | null }>`
    select (
      select run.id from run
      where run.source = name.value and run.kind = verb.value and run.state in (${ended})
      order by run.id desc limit 1
    ) as id
    from ${each(kind, sources, 'name')} cross join ${each(kind, runKinds, 'verb')}`.execute(db);
  return rows.flatMap(({ id }) => (id === null ? [] : [id]));
}

/** Of the newest drill in each repository that came to an end. */
async function lastDrillIds({ db, kind }: Catalogue, sources: readonly string[]): Promise<string[]> {
  const ended = sql.join(telling.map((state) => sql.lit(state)));
  // Their states do not choose among rows: that would lead SQLite to another index, and to all drills of all sources.
  const { rows } = await sql<{ id: string | null }>`
    select max(case when run.state in (${ended}) then run.id end) as id
    from ${each(kind, sources, 'name')} cross join run
    where run.source = name.value and run.kind = 'drill'
    group by run.source, run.repository`.execute(db);
  return rows.flatMap(({ id }) => (id === null ? [] : [id]));
}

/** A table of names, in its column `value`. */
function each(kind: Catalogue['kind'], names: readonly string[], name: string): RawBuilder<unknown> {
  return kind === 'sqlite'
    ? sql`json_each(${JSON.stringify(names)}) as ${sql.ref(name)}`
    : sql`jsonb_array_elements_text(${JSON.stringify(names)}::jsonb) as ${sql.ref(name)}(value)`;
}

/** Every run that ends says so in an event of the same transaction, and events are read in the order they were written. */
async function catchUp({ db }: Catalogue, memory: Memory): Promise<Memory> {
  for (;;) {
    const news = await db
      .selectFrom('happening')
      .select(['id', 'run'])
      .where('id', '>', memory.seen)
      .orderBy('id')
      .limit(readAtOnce)
      .execute();
    const ids = [...new Set(news.flatMap(({ run }) => (run === null ? [] : [run])))];
    const rows =
      ids.length === 0
        ? []
        : await db.selectFrom('run').select(columns).where('id', 'in', ids).where('state', 'in', final).execute();
    for (const row of rows) remember(memory, row);
    memory.seen = news.at(-1)?.id ?? memory.seen;
    if (news.length < readAtOnce) return memory;
  }
}

interface Row {
  readonly id: string;
  readonly kind: string;
  readonly source: string | null;
  readonly repository: string | null;
  readonly state: string;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
  readonly queuedAtMs: number;
  readonly bytes: number | null;
  readonly addedBytes: number | null;
  readonly error: string | null;
}

/** A retry is younger than what it repeats, and so is what was asked for meanwhile: the greatest id counts. */
function remember({ ofKind, drills }: Memory, row: Row): void {
  if (row.source === null) return;
  const run = endedRun({ ...row, source: row.source });
  keepNewest(ofKind, run, run.kind);
  if (run.kind !== 'drill' || run.state === 'cancelled') return;
  const own = drills.get(run.source);
  if (run.repository === undefined && [...(own?.values() ?? [])].some(({ id }) => id > run.id)) return;
  keepNewest(drills, run, run.repository ?? '');
  const unnamed = drills.get(run.source)?.get('');
  if (unnamed && unnamed.id < run.id) drills.get(run.source)?.delete('');
}

function keepNewest<Key>(runs: Map<string, Map<Key, EndedRun>>, run: EndedRun, key: Key): void {
  const own = runs.get(run.source) ?? new Map<Key, EndedRun>();
  runs.set(run.source, own);
  if ((own.get(key)?.id ?? '') <= run.id) own.set(key, run);
}

function endedRun(row: Row & { readonly source: string }): EndedRun {
  return {
    id: row.id,
    kind: row.kind as RunKind,
    source: row.source,
    ...(row.repository === null ? {} : { repository: row.repository }),
    state: row.state as EndedRun['state'],
    ...(row.startedAtMs === null ? {} : { startedAtMs: row.startedAtMs }),
    endedAtMs: row.endedAtMs ?? row.queuedAtMs,
    ...(row.bytes === null ? {} : { bytes: row.bytes }),
    ...(row.addedBytes === null ? {} : { addedBytes: row.addedBytes }),
    ...(row.error === null ? {} : { error: JSON.parse(row.error) as RunError }),
  };
}
