/** Windows whose process is gone: what it stopped is started again. */
import type { Clock } from '../../base/clock.ts';
import { formatInstant } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import { titleOf } from '../../model/window.ts';
import { closeWindow } from './close-window.ts';
import { type LeftRecord, leftRecords, takeOver, type WindowRecord } from './records.ts';
import type { Services } from './services.ts';

export interface RepairTools {
  readonly directory: string;
  readonly clock: Clock;
  /** False for a record that belongs to another configuration with hosts of its own. */
  readonly isOurs: (record: WindowRecord) => boolean;
  /** The host of a record's source, reached, and its services. */
  readonly reach: (record: WindowRecord) => Promise<{ readonly host: Host; readonly services: Services }>;
}

export interface Repaired {
  readonly source: string;
  /** One sentence each. */
  readonly done: readonly string[];
  readonly failures: readonly string[];
}

/** Each record is taken over by one process at a time; what cannot be started now is left for the next who comes. */
export async function repairWindows(tools: RepairTools): Promise<Repaired[]> {
  const repaired: Repaired[] = [];
  for (const left of await leftRecords(tools.directory)) {
    const { name, id, record } = left;
    if (record && !tools.isOurs(record)) continue;
    const result = record ? await repairOne({ name, id, record }, tools) : unreadable(name, tools.directory);
    if (result) repaired.push(result);
  }
  return repaired;
}

function unreadable(name: string, directory: string): Repaired {
  const failure = `${directory}/${name} of a backup that was interrupted cannot be read or trusted: look whether everything runs that it stopped, then remove it`;
  return { source: name, done: [], failures: [failure] };
}

async function repairOne(
  left: LeftRecord & { readonly record: WindowRecord },
  tools: RepairTools,
): Promise<Repaired | undefined> {
  const { record } = left;
  const { source, stopped, after } = record;
  const taken = await takeOver(tools.directory, left);
  if (!taken) return undefined;
  const begun = formatInstant(record.openedAtMs);
  try {
    const reached = await tools.reach(record);
    const closed = await closeWindow(record, { ...reached, clock: tools.clock });
    if (closed.left.length === 0) await taken.remove();
    else await taken.write({ ...record, stopped: closed.left, after: [] });
    const started = stopped.filter((step) => !closed.left.includes(step)).map((step) => titleOf(step.stop));
    const done = [
      ...started.map(
        (title) => `${title} was started again: a backup of ${source} that began ${begun} did not live to do it`,
      ),
      ...(after.length > 0 ? [`the steps after the backup of ${source} that began ${begun} were made up for`] : []),
    ];
    return { source, done, failures: closed.failures };
  } catch (error) {
    const names = stopped.map((step) => titleOf(step.stop)).join(', ');
    return { source, done: [], failures: [`${names || source}: not repaired: ${messageOf(error)}`] };
  }
}
