/** How a run ended, in the words of the catalogue: its state, what happened, and what comes of it. */
import { HoldfastError, messageOf, type Retry } from '../../base/errors.ts';
import { type DueRun, happeningOf, type NewHappening, type RunOutcome, titleOf } from '../../catalogue/runs.ts';
import type { EventType } from '../../model/event.ts';
import type { RunError, RunRecord } from '../../model/run-record.ts';
import { retryDelayMs } from '../../policy/retry.ts';
import type { PlannedRun, Retrying } from '../../policy/run-plan.ts';
import type { Performed } from '../execute.ts';

export interface Ending {
  readonly outcome: RunOutcome;
  readonly events: readonly NewHappening[];
  readonly next: readonly DueRun[];
}

export interface EndingFacts {
  readonly nowMs: number;
  readonly warnings: number;
  readonly retrying: (run: PlannedRun) => Retrying;
}

/** Why a run is stopped from outside; the reason of its signal. left: this process ends, and what performs it elsewhere goes on. */
export type StopReason = 'cancelled' | 'shutdown' | 'timeout' | 'lost' | 'left';

/** What an operation gave. */
export function endingOf(asked: RunRecord, performed: Performed, facts: EndingFacts): Ending {
  const { ok, error, result, bytes, addedBytes, snapshot, repository = asked.repository, next = [] } = performed;
  const run = repository === undefined ? asked : { ...asked, repository };
  const gave = { result, bytes, addedBytes, snapshot, repository };
  if (performed.leftOut) return leftOutEnding(run, performed.leftOut, gave);
  if (!ok) return failed(run, { ...(error ?? incomplete(run)) }, { ...facts, asked, gave, next });
  const title = `the ${titleOf(run)} succeeded`;
  const events = [withFacts(happeningOf(run, { type: `${run.kind}.succeeded` as EventType, title }), run, gave, facts)];
  if (facts.warnings > 0) {
    const warned = `the ${titleOf(run)} succeeded, and warned ${facts.warnings === 1 ? 'once' : `${facts.warnings} times`}`;
    events.push(happeningOf(run, { type: 'run.warning', title: warned }));
  }
  return { outcome: { state: 'succeeded', ...gave }, events, next };
}

/** Neither a success that would make good for a failure, nor a failure. */
function leftOutEnding(run: RunRecord, error: RunError, gave: Gave): Ending {
  const title = `the ${titleOf(run)} was left out: ${error.message}`;
  return {
    outcome: { state: 'cancelled', error, ...gave },
    events: [happeningOf(run, { type: 'run.cancelled', title, error })],
    next: [],
  };
}

/** What it threw, or why it was stopped. */
export function endingOfError(
  run: RunRecord,
  error: unknown,
  stopped: StopReason | undefined,
  facts: EndingFacts,
): Ending {
  if (stopped === 'cancelled' || stopped === 'shutdown') return cancelledEnding(run, stopped, facts);
  return failed(run, errorOf(error), { ...facts, asked: run, gave: {}, next: [] });
}

function cancelledEnding(run: RunRecord, stopped: 'cancelled' | 'shutdown', { nowMs }: EndingFacts): Ending {
  const isShutdown = stopped === 'shutdown';
  const isRepeated = isShutdown && mayRepeat(run);
  const error: RunError = {
    code: 'cancelled',
    message: isShutdown ? 'its worker was stopped' : 'somebody asked it to stop',
    remedy: isRepeated ? 'It is begun again by itself.' : 'Start it again: what was stored so far is kept.',
  };
  const title = `the ${titleOf(run)} was stopped: ${error.message}`;
  const again = isRepeated ? [repeatOf(run, { nowMs, delayMs: 0, attempt: run.attempt })] : [];
  return {
    outcome: { state: 'cancelled', error },
    events: [happeningOf(run, { type: 'run.cancelled', title, error })],
    next: again,
  };
}

type Gave = Pick<RunOutcome, 'result' | 'bytes' | 'addedBytes' | 'snapshot' | 'repository'>;

interface FailedFacts {
  /** The run as it was asked for: that is what is tried again. */
  readonly asked: RunRecord;
  readonly gave: Gave;
  readonly next: readonly DueRun[];
}

function failed(
  run: RunRecord,
  { retry = 'never', ...error }: RunError & { readonly retry?: Retry },
  { asked, gave, next, ...facts }: EndingFacts & FailedFacts,
): Ending {
  const delayMs = mayRepeat(run)
    ? retryDelayMs({ code: error.code, retry }, run.attempt, facts.retrying(run))
    : undefined;
  const again =
    delayMs === undefined ? [] : [repeatOf(asked, { nowMs: facts.nowMs, delayMs, attempt: run.attempt + 1 })];
  const title = `the ${titleOf(run)} failed${again.length > 0 ? ', and is tried again' : ''}`;
  const event = happeningOf(run, { type: `${run.kind}.failed` as EventType, title, error });
  const retryAt = again.map(({ notBeforeMs = facts.nowMs }) => ({ retryAtMs: notBeforeMs }))[0];
  return {
    outcome: { state: 'failed', error, ...gave },
    // Who tells people waits for what comes of the next try.
    events: [withFacts({ ...event, facts: { ...event.facts, ...retryAt } }, run, gave, facts)],
    next: [...next, ...again],
  };
}

/** A run whose lease ended, closed by somebody else: the one that repeats it. */
export function repeatOfLost(
  run: RunRecord,
  { nowMs, retrying }: Pick<EndingFacts, 'nowMs' | 'retrying'>,
): DueRun | undefined {
  const delayMs = mayRepeat(run)
    ? retryDelayMs({ code: 'run.lost', retry: 'later' }, run.attempt, retrying(run))
    : undefined;
  return delayMs === undefined ? undefined : repeatOf(run, { nowMs, delayMs, attempt: run.attempt + 1 });
}

/** A restore that somebody asked for is not begun anew without them: they may have changed what it would overwrite. */
function mayRepeat({ kind, trigger }: RunRecord): boolean {
  return kind !== 'restore' || trigger !== 'manual';
}

function repeatOf(
  run: RunRecord,
  { nowMs, delayMs, attempt }: { readonly nowMs: number; readonly delayMs: number; readonly attempt: number },
): DueRun {
  const { kind, source, repository, host, policy, slotMs, askedBy, input, id } = run;
  return {
    ...{ kind, source, repository, host, policy, slotMs, askedBy, input, attempt },
    trigger: 'retry',
    retryOf: id,
    notBeforeMs: nowMs + delayMs,
    slotKey: `retry/${id}`,
  };
}

/** Anything that was thrown. */
export function errorOf(error: unknown): RunError & { readonly retry: Retry } {
  if (error instanceof HoldfastError) {
    const { code, message, remedy, retry } = error;
    return { code, message, remedy, retry };
  }
  return {
    code: 'internal',
    message: messageOf(error),
    remedy: 'This is a fault in Holdfast: please report it with the log of the run.',
    retry: 'never',
  };
}

function incomplete(run: RunRecord): RunError {
  return {
    code: 'internal',
    message: `the ${titleOf(run)} was not wholly done`,
    remedy: 'Its result says what is missing.',
  };
}

function withFacts(
  event: NewHappening,
  run: RunRecord,
  { bytes, addedBytes, snapshot }: Gave,
  { nowMs }: EndingFacts,
): NewHappening {
  const durationMs = run.startedAtMs === undefined ? undefined : nowMs - run.startedAtMs;
  const known = Object.entries({ bytes, addedBytes, snapshot, durationMs }).filter(([, value]) => value !== undefined);
  return { ...event, facts: { ...event.facts, ...(Object.fromEntries(known) as NonNullable<NewHappening['facts']>) } };
}
