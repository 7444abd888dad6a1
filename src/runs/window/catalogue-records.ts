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
      return {
        id,
        async write(changed) {
          await here.write(changed);
          await db
            .updateTable('openWindow')
            .set({ document: JSON.stringify(changed) })
            .where('id', '=', id)
            .execute();
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
  /** That it cannot be closed was told. */
  readonly isTold: boolean;
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
      const { toldAtMs, ...record } = JSON.parse(row.document) as WindowRecord & { readonly toldAtMs?: number };
      return { id: row.id, run: row.runId ?? '', worker: row.worker, record, isTold: toldAtMs !== undefined };
    });
}

export async function forgetWindow({ db }: Catalogue, id: string): Promise<void> {
  await db.deleteFrom('openWindow').where('id', '=', id).execute();
}

/** What is still stopped, and that it was told. */
export async function keepWindow({ db }: Catalogue, { id, record }: LeftWindow, toldAtMs: number): Promise<void> {
  const document = JSON.stringify({ ...record, toldAtMs });
  await db.updateTable('openWindow').set({ document }).where('id', '=', id).execute();
}
