/** Fills a catalogue as years of use would: sources, runs with an event each, snapshots, proofs, sizes. The same for the same options. */
import { createHash } from 'node:crypto';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { sql } from 'kysely';
import { formatInstant } from '../src/base/clock.ts';
import { summarize } from '../src/catalogue/data/summary.ts';
import type { Catalogue } from '../src/catalogue/open.ts';
import { firstIdOf } from '../src/catalogue/run-list.ts';
import type { Tables } from '../src/catalogue/tables.ts';
import { inTransaction } from '../src/catalogue/transaction.ts';
import { snapshotTags } from '../src/model/snapshot.ts';

export interface SeedOptions {
  /** 10,000. */
  readonly sources?: number;
  /** 1,000,000: the newest a minute before `nowMs`, the oldest 100 days earlier. */
  readonly runs?: number;
  /** 30 a source, one a day. */
  readonly snapshots?: number;
  readonly repositories?: number;
  readonly nowMs: number;
}

export interface Seeded {
  readonly sourceNames: readonly string[];
  readonly repositoryNames: readonly string[];
  readonly policyNames: readonly string[];
  readonly firstMs: number;
  readonly lastMs: number;
}

const dayMs = 86_400_000;
const rowsAtOnce = 2000;

const seedMark = 'bench/seed';

/**
 * Names are `source-00001`, `repository-1`, `policy-1`; a source is always in the same repository and policy. One that was
 * filled before stays as it is.
 */
export async function seedCatalogue(catalogue: Catalogue, options: SeedOptions): Promise<Seeded> {
  const { db } = catalogue;
  const before = await db.selectFrom('bookmark').select('position').where('name', '=', seedMark).executeTakeFirst();
  if (before) return JSON.parse(before.position) as Seeded;
  const { runs = 1_000_000, snapshots = 30 } = options;
  // One that was not filled to the end is filled on.
  const first = await db.selectFrom('run').select('queuedAtMs').orderBy('id').limit(1).executeTakeFirst();
  const seeded = namesOf({ ...options, nowMs: first ? first.queuedAtMs + 100 * dayMs + 60_000 : options.nowMs });
  await seedRuns(catalogue, runs, seeded);
  await seedContent(catalogue, snapshots, seeded);
  if (catalogue.kind === 'sqlite') await sql`pragma wal_checkpoint(truncate)`.execute(db);
  else await sql`vacuum analyze`.execute(db);
  await db
    .insertInto('bookmark')
    .values({ name: seedMark, position: JSON.stringify(seeded) })
    .execute();
  return seeded;
}

function namesOf({ sources = 10_000, repositories = 4, nowMs }: SeedOptions): Seeded {
  const lastMs = nowMs - 60_000;
  return {
    sourceNames: Array.from({ length: sources }, (_, i) => `source-${String(i + 1).padStart(5, '0')}`),
    repositoryNames: Array.from({ length: repositories }, (_, i) => `repository-${i + 1}`),
    policyNames: Array.from({ length: 20 }, (_, i) => `policy-${i + 1}`),
    firstMs: lastMs - 100 * dayMs,
    lastMs,
  };
}

async function countOf({ db }: Catalogue, table: 'run' | 'snapshot'): Promise<number> {
  const { count } = await db
    .selectFrom(table)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** 0 … 1, the same for the same text. */
function chance(text: string): number {
  return createHash('md5').update(text).digest().readUInt32BE() / 2 ** 32;
}

function place(i: number, names: Seeded): { source: string; repository: string; policy: string } {
  const at = i % names.sourceNames.length;
  return {
    source: names.sourceNames[at],
    repository: names.repositoryNames[at % names.repositoryNames.length],
    policy: names.policyNames[at % names.policyNames.length],
  };
}

async function seedRuns(catalogue: Catalogue, count: number, names: Seeded): Promise<void> {
  using filling = fillingOf(catalogue);
  let runs: Record<string, unknown>[] = [];
  let happenings: Record<string, unknown>[] = [];
  const flush = async (): Promise<void> => {
    await filling.insert({ run: runs, happening: happenings });
    [runs, happenings] = [[], []];
  };
  for (let i = await countOf(catalogue, 'run'); i < count; i++) {
    const atMs = names.firstMs + Math.floor((i / count) * (names.lastMs - names.firstMs));
    const run = runRow(i, count - i, { atMs, names });
    runs.push(run);
    if (run.endedAtMs !== null) happenings.push(happeningRow(i, run));
    if (runs.length === rowsAtOnce) await flush();
  }
  if (runs.length > 0) await flush();
}

function kindOf(i: number): string {
  if (i % 100 === 99) return i % 200 === 99 ? 'prune' : 'check';
  const dice = chance(`kind ${i}`);
  return dice < 0.85 ? 'backup' : dice < 0.95 ? 'drill' : 'forget';
}

/** The last four run, fifty wait, all others have ended. */
function stateOf(i: number, fromEnd: number): string {
  if (fromEnd <= 54) return fromEnd <= 4 ? 'running' : 'queued';
  const luck = chance(`luck ${i}`);
  if (luck < 0.97) return 'succeeded';
  return luck < 0.99 ? 'failed' : luck < 0.995 ? 'cancelled' : 'missed';
}

function runRow(i: number, fromEnd: number, { atMs, names }: { atMs: number; names: Seeded }): Record<string, unknown> {
  const kind = kindOf(i);
  const state = stateOf(i, fromEnd);
  const { source, repository, policy } = place(i, names);
  return {
    id: idAt(atMs, `run ${i}`),
    kind,
    source: kind === 'prune' || kind === 'check' ? null : source,
    ...{ repository, host: `host-${i % 500}`, policy, trigger: 'schedule', slotMs: atMs },
    slotKey: `${kind}/${policy}/${source}/${repository}@${atMs}-${i}`,
    ...{ state, attempt: 1, retryOf: null, notBeforeMs: atMs, queuedAtMs: atMs },
    ...progressOf(i, state, atMs),
    ...{ askedBy: 'schedule', cancelRequested: 0, input: '{}', progress: null },
    ...outcomeOf(i, state, { source, repository, atMs }),
  };
}

function progressOf(i: number, state: string, atMs: number): Record<string, unknown> {
  const hasBegun = state !== 'queued' && state !== 'missed';
  return {
    startedAtMs: hasBegun ? atMs + 1000 : null,
    endedAtMs: state === 'queued' || state === 'running' ? null : atMs + 60_000,
    worker: hasBegun ? `worker-${i % 4}` : null,
    fence: hasBegun ? 1 : 0,
    leaseUntilMs: state === 'running' ? atMs + 3650 * dayMs : null,
  };
}

function outcomeOf(
  i: number,
  state: string,
  facts: { source: string; repository: string; atMs: number },
): Record<string, unknown> {
  const none = { errorCode: null, error: null, result: null, bytes: null, addedBytes: null, snapshot: null };
  if (state === 'failed') {
    const message = 'no answer from backup.example within 30 s';
    const error = { code: 'storage.unreachable', message, remedy: 'Check the network.' };
    return { ...none, errorCode: error.code, error: JSON.stringify(error) };
  }
  if (state !== 'succeeded') return none;
  const bytes = Math.floor(chance(`bytes ${i}`) * 1e12);
  const snapshot = sha(`snapshot of run ${i}`);
  return { ...none, result: resultOf({ ...facts, bytes }), bytes, addedBytes: Math.floor(bytes / 50), snapshot };
}

function resultOf(facts: { source: string; repository: string; bytes: number; atMs: number }): string {
  const { source, repository, bytes, atMs } = facts;
  const lists = { unreadable: [], changedWhileRead: [], notes: [] };
  const stored = {
    action: 'backup',
    ok: true,
    time: formatInstant(atMs),
    durationMs: 58_123,
    files: 1234,
    bytes,
    ...lists,
  };
  return JSON.stringify({
    ok: true,
    results: [{ source, repository, ...stored }],
    states: [{ repository, outcome: 'unchanged' }],
  });
}

function happeningRow(i: number, run: Record<string, unknown>): Record<string, unknown> {
  const { kind, state, source, repository, policy } = run;
  const type = state === 'cancelled' ? 'run.cancelled' : `${kind}.${state}`;
  return {
    id: idAt(Number(run.endedAtMs), `event ${i}`),
    type,
    severity: state === 'failed' || state === 'missed' ? 'error' : 'info',
    atMs: run.endedAtMs,
    source,
    repository,
    policy,
    run: run.id,
    title: `the ${kind} of ${source ?? repository} ${state}`,
    message: state === 'failed' ? 'no answer from backup.example within 30 s' : null,
    remedy: state === 'failed' ? 'Check the network.' : null,
    errorCode: run.errorCode,
    facts: JSON.stringify({ kind, trigger: 'schedule', attempt: 1, durationMs: 58_123 }),
  };
}

async function seedContent(catalogue: Catalogue, each: number, names: Seeded): Promise<void> {
  const { kind } = catalogue;
  using filling = fillingOf(catalogue);
  let snapshots: Record<string, unknown>[] = [];
  let proofs: Record<string, unknown>[] = [];
  const flush = async (): Promise<void> => {
    await filling.insert({ snapshot: snapshots, proof: proofs });
    [snapshots, proofs] = [[], []];
  };
  let before = await countOf(catalogue, 'snapshot');
  for (let day = each - 1; day >= 0; day--) {
    for (let i = 0; i < names.sourceNames.length; i++) {
      if (before-- > 0) continue;
      const row = snapshotRow(i, names.lastMs - day * dayMs - i, names);
      snapshots.push(row);
      if (day % 10 === 0) proofs.push(proofRow(row, day));
      if (snapshots.length === rowsAtOnce) await flush();
    }
  }
  if (snapshots.length > 0) await flush();
  for (const repository of names.repositoryNames) {
    await inTransaction(catalogue, ({ db }) => summarize({ db, kind, repository }));
    const sizes = Array.from({ length: 400 }, (_, day) => ({
      ...{ repository, atMs: names.lastMs - day * dayMs, storedBytes: 1e12 - day * 1e9 },
      ...{ restoredBytes: 5e13, snapshots: 75_000 },
    }));
    await catalogue.db
      .insertInto('repositorySize')
      .values(sizes)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

function snapshotRow(i: number, timeMs: number, names: Seeded): Record<string, unknown> {
  const { source, repository } = place(i, names);
  const id = sha(`${source} ${timeMs}`);
  const document = {
    ...{ id, timeMs, time: formatInstant(timeMs), tree: sha('tree'), parent: sha('parent'), paths: [`/srv/${source}`] },
    ...{ hostname: `host-${i % 500}`, username: 'root', programVersion: 'holdfast 0.1.0' },
    tags: snapshotTags({ source, driver: 'files', run: idAt(timeMs, 'r') }),
    summary: {
      backupStart: formatInstant(timeMs),
      totalFilesProcessed: 1234,
      totalBytesProcessed: 123_456_789,
      dataAddedPacked: 12_345,
    },
  };
  return {
    ...{ repository, id, source, driver: 'files', run: idAt(timeMs, 'r'), timeMs, time: document.time },
    ...{
      host: document.hostname,
      bytes: 123_456_789,
      addedBytes: 12_345,
      pinned: 0,
      document: JSON.stringify(document),
    },
  };
}

function proofRow(snapshot: Record<string, unknown>, day: number): Record<string, unknown> {
  const { repository, source, id, time, timeMs } = snapshot;
  const verdict = chance(`proof ${id}`) < 0.98 ? 'passed' : 'failed';
  const startedAtMs = Number(timeMs) + 3_600_000;
  const checks = Array.from({ length: 5 }, (_, i) => ({
    subject: `file ${i}`,
    measure: 'sha256',
    expected: 'a',
    found: 'a',
    ok: true,
  }));
  const document = {
    ...{
      format: 1,
      source,
      driver: 'files',
      snapshot: id,
      snapshotTime: time,
      startedAtMs,
      restoreMs: 4321,
      compareMs: 1,
    },
    ...{
      restoredBytes: 123_456_789,
      verdict,
      checksTotal: 5,
      checksFailed: 0,
      checks,
      host: 'box',
      programVersion: 'holdfast 0.1.0',
    },
  };
  const proofId = sha(`proof ${id} ${day}`);
  return {
    repository,
    id: proofId,
    snapshot: id,
    source,
    startedAtMs,
    restoreMs: 4321,
    verdict,
    document: JSON.stringify({ ...document, id: proofId }),
  };
}

function sha(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** An id of that instant, the same for the same text; as `sortableId` makes them. */
function idAt(atMs: number, text: string): string {
  return firstIdOf(atMs).slice(0, 10) + sha(text).slice(0, 16).toUpperCase();
}

type Rows = readonly Record<string, unknown>[];

interface Filling extends Disposable {
  /** Each table's rows in one transaction. */
  insert(tables: Partial<Record<keyof Tables, Rows>>): Promise<void>;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Past the catalogue's own connection, with nothing waited for: a million rows in a minute. */
function fillingOf(catalogue: Catalogue): Filling {
  return catalogue.kind === 'sqlite' ? fillFile(catalogue.title) : fillServer(catalogue);
}

function fillFile(path: string): Filling {
  const file = new DatabaseSync(path, { timeout: 10_000 });
  file.exec('pragma synchronous = off; pragma cache_size = -262144');
  return {
    async insert(tables) {
      file.exec('begin immediate');
      for (const [table, rows = []] of Object.entries(tables)) {
        if (rows.length === 0) continue;
        const names = Object.keys(rows[0]);
        const marks = names.map(() => '?').join();
        const insert = file.prepare(
          `insert or ignore into ${snake(table)} (${names.map(snake).join()}) values (${marks})`,
        );
        for (const row of rows) insert.run(...names.map((name) => row[name] as SQLInputValue));
      }
      file.exec('commit');
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/** All rows of a table with one statement and one parameter. */
function fillServer({ db }: Catalogue): Filling {
  return {
    async insert(tables) {
      for (const [table, rows = []] of Object.entries(tables)) {
        if (rows.length === 0) continue;
        const names = Object.keys(rows[0]);
        const json = JSON.stringify(
          rows.map((row) => Object.fromEntries(names.map((name) => [snake(name), row[name]]))),
        );
        const list = sql.join(names.map((name) => sql.ref(snake(name))));
        const into = sql.table(snake(table));
        await sql`insert into ${into} (${list}) select ${list} from json_populate_recordset(null::${into}, ${json}) on conflict do nothing`.execute(
          db,
        );
      }
    },
    [Symbol.dispose]: () => undefined,
  };
}
