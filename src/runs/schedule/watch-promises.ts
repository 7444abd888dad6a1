/** Looks whether sources are as safe as promised, and tells of every change once, also over restarts. */
import { firstIdOf } from '../../catalogue/run-list.ts';
import type { CatalogueTransaction } from '../../catalogue/transaction.ts';
import { type Change, judgePromise, type Kept, type Promised, type PromisedProof } from '../../policy/overdue.ts';

/**
 * Marks beside those of schedules, which have a slash in their names: since when a first backup or proof is waited for, and what
 * was told. `mark:SOURCE`, and `mark:SOURCE:REPOSITORY` for proofs.
 */
const marks = { known: 'known:', overdue: 'overdue:', stale: 'stale:' } as const;

/** As part of a transaction of the leader. */
export async function watchPromises(
  transaction: CatalogueTransaction,
  promised: readonly Promised[],
): Promise<readonly Change[]> {
  const { db, nowMs, record } = transaction;
  const rows = await db.selectFrom('schedule').selectAll().where('key', 'like', '%:%').execute();
  const marked = new Map(rows.map((row) => [row.key, row.seenToMs]));
  const backups = await newestBackups(transaction, promised);
  const proofs = await newestProofs(transaction, promised);
  const changes: Change[] = [];
  const next = new Set<string>();
  for (const one of promised) changes.push(...watchOne(one, { marked, backups, proofs, nowMs }, next));
  await setMarks(transaction, marked, next);
  for (const { type, title, source, policy, repository } of changes) {
    const about = { source, ...(policy === undefined ? {} : { policy }) };
    await record({ type, title, ...about, ...(repository === undefined ? {} : { repository }) });
  }
  return changes;
}

interface Found {
  readonly marked: ReadonlyMap<string, number>;
  readonly backups: ReadonlyMap<string, number>;
  readonly proofs: ReadonlyMap<string, number>;
  readonly nowMs: number;
}

/** Adds what stays marked to `next`. */
function watchOne(promised: Promised, { marked, backups, proofs, nowMs }: Found, next: Set<string>): readonly Change[] {
  const { source, proofs: places = [] } = promised;
  const keptOf = (subject: string, atMs: number | undefined): Kept => {
    const sinceMs = marked.get(marks.known + subject) ?? nowMs;
    return atMs === undefined ? { sinceMs } : { sinceMs, atMs };
  };
  const isStale = ({ repository }: PromisedProof): boolean => marked.has(marks.stale + subjectOf(source, repository));
  const told = {
    overdue: marked.has(marks.overdue + source),
    stale: new Set(places.filter(isStale).map(({ repository }) => repository)),
  };
  const proofIn = (repository: string): Kept => {
    const subject = subjectOf(source, repository);
    return keptOf(subject, proofs.get(subject));
  };
  const judged = judgePromise(promised, { backup: keptOf(source, backups.get(source)), proof: proofIn }, told, nowMs);
  next.add(marks.known + source);
  if (judged.told.overdue) next.add(marks.overdue + source);
  for (const { repository } of places) {
    const subject = subjectOf(source, repository);
    if (!proofs.has(subject)) next.add(marks.known + subject);
    if (judged.told.stale.has(repository)) next.add(marks.stale + subject);
  }
  return judged.changes;
}

/** Names hold no colon. */
function subjectOf(source: string, repository: string): string {
  return `${source}:${repository}`;
}

type Kind = 'backup' | 'drill';

/** When the newest one began. */
interface Good {
  readonly source: string | null;
  readonly repository: string | null;
  readonly atMs: number | string | null;
}

/** When the newest good one of each source began; what a repository lists counts as well as what was run from here. */
async function newestBackups(
  transaction: CatalogueTransaction,
  promised: readonly Promised[],
): Promise<Map<string, number>> {
  const { db } = transaction;
  const found = new Map<string, number>();
  const every = longestOf(promised.map((one) => one.backupEveryMs ?? 0));
  const recent = await recentRuns(transaction, 'backup', 2 * every);
  const listed = await db
    .selectFrom('snapshot')
    .select((eb) => ['source', eb.fn.max('timeMs').as('atMs')])
    .where('source', 'is not', null)
    .groupBy('source')
    .execute();
  for (const { source, atMs } of [...recent, ...listed]) keepNewest(found, source, atMs);
  for (const { source, backupEveryMs, proofs } of promised) {
    if (found.has(source) || (backupEveryMs === undefined && proofs === undefined)) continue;
    for (const { atMs } of await lastRuns(transaction, 'backup', source)) keepNewest(found, source, atMs);
  }
  return found;
}

/** The same for drills that passed, in each repository. A run that names none is of the only one in which its source is drilled. */
async function newestProofs(
  transaction: CatalogueTransaction,
  promised: readonly Promised[],
): Promise<Map<string, number>> {
  const { db } = transaction;
  const found = new Map<string, number>();
  const placesOf = new Map(promised.map(({ source, proofs = [] }) => [source, proofs]));
  const limits = promised.flatMap(({ proofs = [] }) => proofs.map(({ limitMs }) => limitMs));
  const recent = await recentRuns(transaction, 'drill', longestOf(limits));
  const listed = await db
    .selectFrom('proof')
    .select((eb) => ['source', 'repository', eb.fn.max('startedAtMs').as('atMs')])
    .where('source', 'is not', null)
    .where('verdict', '=', 'passed')
    .groupBy(['source', 'repository'])
    .execute();
  const keep = ({ source, repository, atMs }: Good): void => {
    const places = placesOf.get(source ?? '') ?? [];
    const place = repository ?? (places.length === 1 ? places[0].repository : undefined);
    if (source !== null && place !== undefined) keepNewest(found, subjectOf(source, place), atMs);
  };
  for (const one of [...recent, ...listed]) keep(one);
  const missing = promised.filter(({ source, proofs = [] }) =>
    proofs.some(({ repository }) => !found.has(subjectOf(source, repository))),
  );
  for (const { source } of missing) {
    for (const run of await lastRuns(transaction, 'drill', source)) keep(run);
  }
  return found;
}

function longestOf(limits: readonly number[]): number {
  return limits.reduce((longest, one) => Math.max(longest, one), 0);
}

function keepNewest(
  found: Map<string, number>,
  subject: string | null,
  atMs: number | string | null | undefined,
): void {
  if (subject === null || atMs === null || atMs === undefined) return;
  found.set(subject, Math.max(found.get(subject) ?? 0, Number(atMs)));
}

/** Most are found among the runs of the time that is promised; only the others are looked up one by one. */
async function recentRuns({ db, nowMs }: CatalogueTransaction, kind: Kind, withinMs: number): Promise<Good[]> {
  return await db
    .selectFrom('run')
    .select((eb) => ['source', 'repository', eb.fn.max('startedAtMs').as('atMs')])
    .where('id', '>=', firstIdOf(nowMs - withinMs))
    .where('kind', '=', kind)
    .where('state', '=', 'succeeded')
    .where('source', 'is not', null)
    .groupBy(['source', 'repository'])
    .execute();
}

/** Of one source. The state does not choose among rows: that would lead SQLite to the runs of all sources. */
async function lastRuns({ db }: CatalogueTransaction, kind: Kind, source: string): Promise<Good[]> {
  return await db
    .selectFrom('run')
    .select((eb) => {
      const goodMs = eb.case().when('state', '=', 'succeeded').then(eb.ref('startedAtMs')).end();
      return ['source', 'repository', eb.fn.max(goodMs).as('atMs')];
    })
    .where('source', '=', source)
    .where('kind', '=', kind)
    .groupBy(['source', 'repository'])
    .execute();
}

/** Those that are no more, also of sources that are promised nothing any more, are removed. */
async function setMarks(
  { db, nowMs }: CatalogueTransaction,
  before: ReadonlyMap<string, number>,
  after: ReadonlySet<string>,
): Promise<void> {
  for (const key of before.keys()) {
    if (!after.has(key)) await db.deleteFrom('schedule').where('key', '=', key).execute();
  }
  for (const key of after) {
    if (!before.has(key)) await db.insertInto('schedule').values({ key, seenToMs: nowMs }).execute();
  }
}
