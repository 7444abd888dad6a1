/** Windows whose process is gone: what it stopped is started again. */
import type { Clock } from '../../base/clock.ts';
import { formatInstant } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import { type StopStep, titleOf } from '../../model/window.ts';
import { closeWindow } from './close-window.ts';
import { type LeftRecord, leftRecords, takeOver, type WindowRecord } from './records.ts';
import type { Services } from './services.ts';

export interface RepairTools {
  readonly directory: string;
  readonly clock: Clock;
  /** False for a record that belongs to another configuration with hosts of its own. */
  readonly isOurs: (record: WindowRecord) => boolean;
  /** Of those that this process has left: whether it is tried again now. Absent: none. */
  readonly isAgain?: (id: string) => boolean;
  /** The host of a record's source, reached, and its services. */
  readonly reach: (record: WindowRecord) => Promise<{ readonly host: Host; readonly services: Services }>;
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

/** Each record is taken over by one process at a time; what cannot be started now is left for the next who comes. */
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
    const result = one.record ? await repairOne(one, tools) : unreadable(one, directory);
    if (result) repaired.push(result);
  }
  return repaired;
}

function unreadable({ name, id }: LeftRecord, directory: string): Repaired {
  const failure = `${directory}/${name} of a backup that was interrupted cannot be read or trusted: look whether everything runs that it stopped, then remove it`;
  return { id, source: name, started: [], isClosed: false, done: [], failures: [failure], failedSteps: [] };
}

async function repairOne(left: LeftRecord, tools: RepairTools): Promise<Repaired | undefined> {
  const taken = await takeOver(tools.directory, left);
  if (!taken) return undefined;
  const { record, id } = taken;
  if (!record) {
    await taken.leave();
    return unreadable(left, tools.directory);
  }
  const { source, stopped } = record;
  try {
    const reached = await tools.reach(record);
    const closed = await closeWindow(record, { ...reached, clock: tools.clock });
    const rest = closed.left.length === 0 ? undefined : { ...record, stopped: closed.left, after: [] };
    await (rest ? taken.leave(rest) : taken.remove());
    const started = stopped.filter((step) => !closed.left.includes(step));
    const { failures, failedSteps } = closed;
    return { ...{ id, source, started, rest, failures, failedSteps }, isClosed: !rest, done: toldOf(record, started) };
  } catch (error) {
    await taken.leave();
    const names = stopped.map((step) => titleOf(step.stop)).join(', ');
    const failures = [`${names || source}: not repaired: ${messageOf(error)}`];
    return { ...{ id, source, failures, rest: record }, started: [], isClosed: false, done: [], failedSteps: [] };
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
