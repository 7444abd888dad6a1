/** Whether a server or worker looks after the runs of a catalogue now. */
import type { Catalogue } from '../catalogue/open.ts';
import { listWorkers } from '../catalogue/workers.ts';

/** Workers say that they are alive more often than this. */
const silentMs = 60_000;

export async function isServed(catalogue: Catalogue): Promise<boolean> {
  const nowMs = await catalogue.nowMs();
  return (await listWorkers(catalogue)).some((one) => one.seenAtMs >= nowMs - silentMs);
}
