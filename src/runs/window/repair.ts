/** Windows whose process is gone: what it stopped is started again. */
import type { Clock } from '../../base/clock.ts';
import { formatInstant } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Runner } from '../../hosts/run-to-end.ts';
import { type StopStep, titleOf } from '../../model/window.ts';
import { touchedBy } from './claims.ts';
import { type Closed, closeWindow } from './close-window.ts';
import { claimedElsewhere } from './open-records.ts';
import { type LeftRecord, leftRecords, type OpenRecord, takeOver, type WindowRecord } from './records.ts';
import type { Services } from './services.ts';

export interface RepairTools {
  readonly directory: string;
  readonly clock: Clock;
  /** False for a record that belongs to another configuration with hosts of its own. */
  readonly isOurs: (record: WindowRecord) => boolean;
  /** Of those that this process has left, or that cannot be read: whether it is tried again now. Absent: none of the former. */
  readonly isAgain?: (id: string) => boolean;
  /** Claims of windows that are open now and stand elsewhere than in the directory. */
  readonly claimed?: () => Promise<ReadonlySet<string>>;
  /** The host of a record's source, reached, and its services. */
  readonly reach: (record: WindowRecord) => Promise<{ readonly host: Runner; readonly services: Services }>;
}

export interface Repaired {
  readonly id: string;
  readonly source: string;
  /** What runs again. */
  readonly started: readonly StopStep[];
  /** What is still to be done; absent if nothing is, or if nobody can say. */
  readonly rest?: WindowRecord;
  readonly isClosed: boolean;
  /** One sentence each. */
  readonly done: readonly string[];
  readonly failures: readonly string[];
  /** Those of them that are of steps afterwards: they are not tried again. */
  readonly failedSteps: readonly string[];
}

/**
 * Each record is taken over by one process at a time; what cannot be started now is left for the next who comes. What an open
 * window has claimed is left alone: it is its to start, or it is looked at again when that has ended. What goes wrong with one
 * is told in its result, and keeps nothing else from being done.
 */
export async function repairWindows(tools: RepairTools): Promise<Repaired[]> {
  const { directory, isOurs, isAgain } = tools;
  const repaired: Repaired[] = [];
  const left = await leftRecords(directory);
  if (isAgain) {
    const own = await leftRecords(directory, { own: true });
    const known = new Set(left.map(({ id }) => id));
    left.push(...own.filter(({ id }) => !known.has(id) && isAgain(id)));
  }
  for (const one of left) {
    if (one.record && !isOurs(one.record)) continue;
    if (!one.record && isAgain && !isAgain(one.id)) continue;
    const result = one.record ? await repairOne(one, one.record, tools) : unreadable(one, directory);
    if (result) repaired.push(result);
  }
  return repaired;
}

function unreadable({ name, id }: LeftRecord, directory: string): Repaired {
  const failure = `${directory}/${name} of a backup that was interrupted cannot be read or trusted: look whether everything runs that it stopped, then remove it`;
  return { id, source: name, started: [], isClosed: false, done: [], failures: [failure], failedSteps: [] };
}

async function repairOne(left: LeftRecord, record: WindowRecord, tools: RepairTools): Promise<Repaired | undefined> {
  try {
    if (await isClaimed(record, left.id, tools)) return undefined;
    const taken = await takeOver(tools.directory, left);
    return taken && (await repairTaken(taken, left, tools));
  } catch (error) {
    return notRepaired(left.id, record, error);
  }
}

async function repairTaken(
  taken: OpenRecord & { readonly record: WindowRecord | undefined },
  left: LeftRecord,
  tools: RepairTools,
): Promise<Repaired | undefined> {
  const { record } = taken;
  if (!record) {
    await taken.leave();
    return unreadable(left, tools.directory);
  }
  try {
    const reached = await tools.reach(record);
    // Once more, now that it is reached, which takes time, and others see that it is worked on: of two that come at once, at
    // least one sees the other.
    if (await isClaimed(record, left.id, tools)) {
      await taken.leave();
      return undefined;
    }
    const closed = await closeWindow(record, { ...reached, clock: tools.clock });
    return await settled({ ...taken, record }, closed);
  } catch (error) {
    await taken.leave();
    return notRepaired(left.id, record, error);
  }
}

function notRepaired(id: string, record: WindowRecord, error: unknown): Repaired {
  const { source, stopped } = record;
  const names = stopped.map((step) => titleOf(step.stop)).join(', ');
  const failures = [`${names || source}: not repaired: ${messageOf(error)}`];
  return { id, source, started: [], isClosed: false, done: [], failures, failedSteps: [], rest: record };
}

async function isClaimed(record: WindowRecord, id: string, { directory, claimed }: RepairTools): Promise<boolean> {
  const touched = touchedBy(record);
  const elsewhere = await claimed?.();
  if (touched.some((claim) => elsewhere?.has(claim))) return true;
  return (await claimedElsewhere(directory, touched, id)) !== undefined;
}

/** What was done was done, also where that cannot be written down. */
async function settled(taken: OpenRecord & { readonly record: WindowRecord }, closed: Closed): Promise<Repaired> {
  const { id, record } = taken;
  const { left, failures, failedSteps } = closed;
  const rest = { ...record, stopped: left, after: [] };
  const started = record.stopped.filter((step) => !left.includes(step));
  const facts = { id, source: record.source, started, failedSteps, done: toldOf(record, started) };
  try {
    await (left.length > 0 ? taken.leave(rest) : taken.remove());
    return left.length > 0 ? { ...facts, failures, rest, isClosed: false } : { ...facts, failures, isClosed: true };
  } catch (error) {
    const failure = `the record of the window could not be brought up to date: ${messageOf(error)}`;
    return { ...facts, failures: [...failures, failure], rest, isClosed: false };
  }
}

function toldOf({ source, openedAtMs, after }: WindowRecord, started: readonly StopStep[]): string[] {
  const begun = formatInstant(openedAtMs);
  const again = started.map(
    ({ stop }) =>
      `${titleOf(stop)} was started again: a backup of ${source} that began ${begun} did not live to do it, or could not`,
  );
  return after.length > 0
    ? [...again, `the steps after the backup of ${source} that began ${begun} were made up for`]
    : again;
}
