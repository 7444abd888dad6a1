/**
 * Records of windows that others can see, too: what a worker stopped on another machine has to be started by somebody else if
 * the worker does not come back. The directory of its own machine keeps each record as well, with the same id.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { claimedBy } from './claims.ts';
import { recordsIn, type WindowRecords } from './open-records.ts';
import { keptPlaceOf } from './place.ts';
import type { WindowRecord } from './records.ts';

export interface RecordsOfRun {
  readonly catalogue: Catalogue;
  readonly directory: string;
  readonly run: string;
  readonly worker: string;
}

/** Nothing is stopped unless both places have it. */
export function recordsOfRun({ catalogue, directory, run, worker }: RecordsOfRun): WindowRecords {
  const { db } = catalogue;
  return {
    async create(record, waiting) {
      const here = await recordsIn(directory).create(record, waiting);
      const { id, taken } = here;
      const { stopped } = taken;
      const whole = { ...record, stopped, after: [...record.after, ...taken.after] };
      const toText = (changed: WindowRecord): string => JSON.stringify({ ...changed, place, others });
      let place: string | undefined;
      let others: readonly string[] | undefined;
      try {
        place = await keptPlaceOf(directory);
        others = await sourcesOf(catalogue, taken.ids);
        const row = { id, runId: run, worker, document: toText(whole), openedAtMs: record.openedAtMs };
        await db.insertInto('openWindow').values(row).execute();
      } catch (cause) {
        const isMore = stopped.length + taken.after.length > 0;
        await (isMore ? here.leave({ ...record, stopped, after: taken.after }) : here.remove());
        if (cause instanceof HoldfastError) throw cause;
        throw new HoldfastError({
          code: 'catalogue.unreachable',
          message: `what has to be started again cannot be written into the catalogue: ${messageOf(cause)}`,
          remedy: 'Nothing was stopped. Check that the catalogue can be reached.',
          retry: 'later',
          cause,
        });
      }
      const update = async (changed: WindowRecord): Promise<void> => {
        await db
          .updateTable('openWindow')
          .set({ document: toText(changed) })
          .where('id', '=', id)
          .execute();
      };
      return {
        ...{ id, taken },
        async write(changed) {
          await here.write(changed);
          await update(changed);
        },
        async leave(changed) {
          await here.leave(changed);
          if (changed) await update(changed);
          // This one stands for them now, and for their sources. Those it could close are forgotten, and told of, by who looks
          // after what was left.
          if (taken.ids.length > 0) await db.deleteFrom('openWindow').where('id', 'in', taken.ids).execute();
        },
        async remove() {
          await here.remove();
          await db.deleteFrom('openWindow').where('id', '=', id).execute();
        },
      };
    },
  };
}

/** Of the windows with these ids, and of those they stand for. `undefined` if there are none. */
async function sourcesOf({ db }: Catalogue, ids: readonly string[]): Promise<readonly string[] | undefined> {
  if (ids.length === 0) return undefined;
  const rows = await db.selectFrom('openWindow').select('document').where('id', 'in', ids).execute();
  const sources = rows.flatMap(({ document }) => {
    const { source, others = [] } = JSON.parse(document) as Document;
    return [source, ...others];
  });
  return [...new Set(sources)];
}

export interface LeftWindow {
  readonly id: string;
  readonly run: string;
  readonly worker: string;
  /** Of the state directory that has its record, too, see `place.ts`. Absent in rows of earlier versions. */
  readonly place?: string;
  /** Sources whose windows it took over and could not close either: the alarm of each ends when this one's does. */
  readonly others?: readonly string[];
  readonly record: WindowRecord;
  readonly tries: Tries;
}

export interface KnownWindows {
  /** Of runs that have ended: who opened them did not close them. */
  readonly left: readonly LeftWindow[];
  /** What those of runs that have not ended have to themselves, on whatever machine. */
  readonly claimed: ReadonlySet<string>;
}

/** What was done so far about a window that somebody else left. In milliseconds of the catalogue's clock. */
export interface Tries {
  /** That it cannot be closed was told last then. */
  readonly toldAtMs?: number;
  /** How often closing it failed. */
  readonly failed?: number;
  /** It is not tried again before. */
  readonly nextAtMs?: number;
}

export async function knownWindows({ db }: Catalogue): Promise<KnownWindows> {
  const rows = await db
    .selectFrom('openWindow')
    .leftJoin('run', 'run.id', 'openWindow.runId')
    .select(['openWindow.id', 'openWindow.runId', 'openWindow.worker', 'openWindow.document', 'run.state'])
    .orderBy('openWindow.id')
    .execute();
  const left: LeftWindow[] = [];
  const claimed = new Set<string>();
  for (const { id, runId, worker, document, state } of rows) {
    const { tries = {}, place, others, ...record } = JSON.parse(document) as Document;
    if (state !== 'running' && state !== 'queued')
      left.push({ id, run: runId ?? '', worker, place, others, record, tries });
    else for (const claim of claimedBy(record)) claimed.add(claim);
  }
  return { left, claimed };
}

type Document = WindowRecord & Partial<Pick<LeftWindow, 'tries' | 'place' | 'others'>>;

/** One that no run of this catalogue opened: a command did, and did not close it. */
export async function addWindow({ db }: Catalogue, { id, run, worker, ...rest }: LeftWindow): Promise<void> {
  const row = { id, runId: run || null, worker, document: textOf(rest), openedAtMs: rest.record.openedAtMs };
  await db
    .insertInto('openWindow')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

function textOf({ record, ...rest }: Pick<LeftWindow, 'record' | 'tries' | 'place' | 'others'>): string {
  const { tries, place, others } = rest;
  return JSON.stringify({ ...record, tries, place, others });
}

export async function forgetWindow({ db }: Catalogue, id: string): Promise<void> {
  await db.deleteFrom('openWindow').where('id', '=', id).execute();
}

/** What is still to be done, and what came of trying. */
export async function keepWindow({ db }: Catalogue, { id, ...rest }: LeftWindow): Promise<void> {
  await db
    .updateTable('openWindow')
    .set({ document: textOf(rest) })
    .where('id', '=', id)
    .execute();
}
