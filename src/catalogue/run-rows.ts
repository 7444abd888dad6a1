/** Runs between the table and the model. */
import type { Insertable, Selectable } from 'kysely';
import { sortableId } from '../base/sortable-id.ts';
import type { RunError, RunKind, RunRecord, RunState, RunTrigger } from '../model/run-record.ts';
import type { RunTable } from './tables.ts';
import { storable } from './transaction.ts';

export interface NewRun {
  readonly kind: RunKind;
  readonly source?: string;
  readonly repository?: string;
  readonly host: string;
  readonly policy?: string;
  readonly trigger: RunTrigger;
  readonly slotMs?: number;
  /** 1 if absent. */
  readonly attempt?: number;
  readonly retryOf?: string;
  /** Now if absent. */
  readonly notBeforeMs?: number;
  readonly askedBy: string;
  readonly input?: RunRecord['input'];
}

/** One that exists once: `kind/policy/source/repository@slot`, or `retry/ID of the run it repeats`. */
export type DueRun = NewRun & { readonly slotKey: string };

/** Of lists: what an operation gave may be long. */
export const listedColumns = [
  'id',
  'kind',
  'source',
  'repository',
  'host',
  'policy',
  'trigger',
  'slotMs',
  'state',
  'attempt',
  'retryOf',
  'notBeforeMs',
  'queuedAtMs',
  'startedAtMs',
  'endedAtMs',
  'waits',
  'worker',
  'askedBy',
  'cancelRequested',
  'input',
  'progress',
  'errorCode',
  'error',
  'bytes',
  'addedBytes',
  'snapshot',
] as const satisfies readonly (keyof RunTable)[];

export type ListedRow = Pick<Selectable<RunTable>, (typeof listedColumns)[number]>;

export function recordOf(row: ListedRow & { readonly result?: string | null }): RunRecord {
  const error = row.error === null ? undefined : (JSON.parse(row.error) as RunError);
  return {
    id: row.id,
    kind: row.kind as RunKind,
    host: row.host,
    trigger: row.trigger as RunTrigger,
    state: row.state as RunState,
    attempt: row.attempt,
    notBeforeMs: row.notBeforeMs,
    queuedAtMs: row.queuedAtMs,
    askedBy: row.askedBy,
    cancelRequested: row.cancelRequested !== 0,
    input: JSON.parse(row.input) as RunRecord['input'],
    ...present({
      source: row.source,
      repository: row.repository,
      policy: row.policy,
      slotMs: row.slotMs,
      retryOf: row.retryOf,
      startedAtMs: row.startedAtMs,
      endedAtMs: row.endedAtMs,
      worker: row.worker,
      bytes: row.bytes,
      addedBytes: row.addedBytes,
      snapshot: row.snapshot,
    }),
    ...(row.waits === null || row.state !== 'queued' ? {} : { waits: row.waits }),
    ...(row.progress === null ? {} : { progress: JSON.parse(row.progress) as RunRecord['progress'] }),
    ...(error ? { error } : {}),
    ...(row.result === null || row.result === undefined ? {} : { result: JSON.parse(row.result) as unknown }),
  };
}

type Present<Fields> = { [Name in keyof Fields]?: NonNullable<Fields[Name]> };

/** Without the fields that are null. */
export function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as Present<Fields>;
}

/** A new row; its id sorts by when it was made. */
export function rowOf(
  run: NewRun & Partial<Pick<DueRun, 'slotKey'>>,
  state: RunState,
  nowMs: number,
): Insertable<RunTable> {
  return {
    id: sortableId(nowMs),
    kind: run.kind,
    source: run.source ?? null,
    repository: run.repository ?? null,
    host: run.host,
    policy: run.policy ?? null,
    trigger: run.trigger,
    slotMs: run.slotMs ?? null,
    slotKey: run.slotKey ?? null,
    state,
    attempt: run.attempt ?? 1,
    retryOf: run.retryOf ?? null,
    notBeforeMs: run.notBeforeMs ?? nowMs,
    queuedAtMs: nowMs,
    admittedAtMs: null,
    waits: null,
    startedAtMs: null,
    endedAtMs: state === 'queued' ? null : nowMs,
    worker: null,
    fence: 0,
    leaseUntilMs: null,
    askedBy: run.askedBy,
    cancelRequested: 0,
    input: JSON.stringify(run.input ?? {}),
    progress: null,
    errorCode: null,
    error: null,
    result: null,
    bytes: null,
    addedBytes: null,
    snapshot: null,
  };
}

export function errorColumns(error: RunError | undefined): Pick<RunTable, 'errorCode' | 'error'> {
  if (error === undefined) return { errorCode: null, error: null };
  return { errorCode: storable(error.code), error: JSON.stringify(error) };
}
