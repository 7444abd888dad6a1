/** Looks whether sources are as safe as promised, and tells of every change once, also over restarts. */
import { firstIdOf } from '../../catalogue/run-list.ts';
import type { CatalogueTransaction } from '../../catalogue/transaction.ts';
import { type Change, judgePromise, type Kept, type Promised, type Told } from '../../policy/overdue.ts';

/** Marks beside those of schedules, which have a slash in their names: since when something is known, or was told. */
const marks = { known: 'known:', overdue: 'overdue:', stale: 'stale:' } as const;

/** As part of a transaction of the leader. */
export async function watchPromises(
  transaction: CatalogueTransaction,
  promised: readonly Promised[],
): Promise<readonly Change[]> {
  const { db, nowMs, record } = transaction;
  const rows = await db.selectFrom('schedule').selectAll().where('key', 'like', '%:%').execute();
  const marked = new Map(rows.map((row) => [row.key, row.seenToMs]));
  const backups = await newestOf(transaction, 'backup', promised);
  const drills = await newestOf(transaction, 'drill', promised);
  const changes: Change[] = [];
  for (const one of promised) {
    const { source } = one;
    const knownSinceMs = marked.get(marks.known + source);
    if (knownSinceMs === undefined) await setMark(transaction, marks.known + source, true);
    const told: Told = { overdue: marked.has(marks.overdue + source), stale: marked.has(marks.stale + source) };
    const kept: Kept = {
      ...present('backupMs', backups.get(source)),
      ...present('proofMs', drills.get(source)),
      knownSinceMs: knownSinceMs ?? nowMs,
    };
    changes.push(...judgePromise(one, kept, told, nowMs));
  }
  for (const { source, told } of changes) {
    await setMark(transaction, marks.overdue + source, told.overdue);
    await setMark(transaction, marks.stale + source, told.stale);
  }
  await forgetOthers(transaction, [...marked.keys()], promised);
  for (const { type, title, source, policy } of changes) {
    await record({ type, title, source, ...(policy === undefined ? {} : { policy }) });
  }
  return changes;
}

function present<Name extends string>(name: Name, ms: number | undefined): { [N in Name]?: number } {
  return (ms === undefined ? {} : { [name]: ms }) as { [N in Name]?: number };
}

/** When the newest good one of each source began; what a repository lists counts as well as what was run from here. */
async function newestOf(
  { db, nowMs }: CatalogueTransaction,
  kind: 'backup' | 'drill',
  promised: readonly Promised[],
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const everyOf = (one: Promised): number | undefined => (kind === 'backup' ? one.backupEveryMs : one.drillEveryMs);
  const every = promised.map((one) => everyOf(one) ?? 0);
  // Most are found among the runs of the time that is promised; only the others are looked up one by one.
  const runs = await db
    .selectFrom('run')
    .select((eb) => ['source', eb.fn.max('startedAtMs').as('atMs')])
    .where('id', '>=', firstIdOf(nowMs - 2 * Math.max(0, ...every)))
    .where('kind', '=', kind)
    .where('state', '=', 'succeeded')
    .where('source', 'is not', null)
    .groupBy('source')
    .execute();
  const listed =
    kind === 'backup'
      ? await db
          .selectFrom('snapshot')
          .select((eb) => ['source', eb.fn.max('timeMs').as('atMs')])
          .where('source', 'is not', null)
          .groupBy('source')
          .execute()
      : await db
          .selectFrom('proof')
          .select((eb) => ['source', eb.fn.max('startedAtMs').as('atMs')])
          .where('source', 'is not', null)
          .where('verdict', '=', 'passed')
          .groupBy('source')
          .execute();
  for (const { source, atMs } of [...runs, ...listed]) {
    if (source !== null && atMs !== null) found.set(source, Math.max(found.get(source) ?? 0, Number(atMs)));
  }
  for (const one of promised) {
    const { source } = one;
    if (found.has(source) || everyOf(one) === undefined) continue;
    const row = await db
      .selectFrom('run')
      .select('startedAtMs')
      .where('source', '=', source)
      .where('kind', '=', kind)
      .where('state', '=', 'succeeded')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (row?.startedAtMs) found.set(source, row.startedAtMs);
  }
  return found;
}

async function setMark({ db, nowMs }: CatalogueTransaction, key: string, isSet: boolean): Promise<void> {
  if (!isSet) {
    await db.deleteFrom('schedule').where('key', '=', key).execute();
    return;
  }
  await db
    .insertInto('schedule')
    .values({ key, seenToMs: nowMs })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
}

/** Of sources that are promised nothing any more. */
async function forgetOthers(
  { db }: CatalogueTransaction,
  known: readonly string[],
  promised: readonly Promised[],
): Promise<void> {
  const sources = new Set(promised.map((one) => one.source));
  const gone = known.filter((key) => !sources.has(key.slice(key.indexOf(':') + 1)));
  for (const key of gone) await db.deleteFrom('schedule').where('key', '=', key).execute();
}
