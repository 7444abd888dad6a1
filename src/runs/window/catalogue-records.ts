/**
 * Records of windows that others can see, too: what a worker stopped on another machine has to be started by somebody else if
 * the worker does not come back. The directory of its own machine keeps each record as well, with the same id.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { recordsIn, type WindowRecord, type WindowRecords } from './records.ts';

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
    async create(record) {
      const here = await recordsIn(directory).create(record);
      const { id } = here;
      try {
        const row = { id, runId: run, worker, document: JSON.stringify(record), openedAtMs: record.openedAtMs };
        await db.insertInto('openWindow').values(row).execute();
      } catch (cause) {
        await here.remove();
        throw new HoldfastError({
          code: 'catalogue.unreachable',
          message: `what has to be started again cannot be written into the catalogue: ${messageOf(cause)}`,
          remedy: 'Nothing was stopped. Check that the catalogue can be reached.',
          retry: 'later',
          cause,
        });
      }
      const update = async (changed: WindowRecord): Promise<void> => {
        const document = JSON.stringify(changed);
        await db.updateTable('openWindow').set({ document }).where('id', '=', id).execute();
      };
      return {
        id,
        async write(changed) {
          await here.write(changed);
          await update(changed);
        },
        async leave(changed) {
          await here.leave(changed);
          if (changed) await update(changed);
        },
        async remove() {
          await here.remove();
          await db.deleteFrom('openWindow').where('id', '=', id).execute();
        },
      };
    },
  };
}

export interface LeftWindow {
  readonly id: string;
  readonly run: string;
  readonly worker: string;
  readonly record: WindowRecord;
  readonly tries: Tries;
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

/** Windows of runs that have ended: who opened them did not close them. */
export async function leftWindows({ db }: Catalogue): Promise<LeftWindow[]> {
  const rows = await db
    .selectFrom('openWindow')
    .leftJoin('run', 'run.id', 'openWindow.runId')
    .select(['openWindow.id', 'openWindow.runId', 'openWindow.worker', 'openWindow.document', 'run.state'])
    .orderBy('openWindow.id')
    .execute();
  return rows
    .filter((row) => row.state !== 'running' && row.state !== 'queued')
    .map((row) => {
      const { tries = {}, ...record } = JSON.parse(row.document) as WindowRecord & { readonly tries?: Tries };
      return { id: row.id, run: row.runId ?? '', worker: row.worker, record, tries };
    });
}

export async function forgetWindow({ db }: Catalogue, id: string): Promise<void> {
  await db.deleteFrom('openWindow').where('id', '=', id).execute();
}

/** What is still to be done, and what came of trying. */
export async function keepWindow({ db }: Catalogue, { id, record, tries }: LeftWindow): Promise<void> {
  const document = JSON.stringify({ ...record, tries });
  await db.updateTable('openWindow').set({ document }).where('id', '=', id).execute();
}
