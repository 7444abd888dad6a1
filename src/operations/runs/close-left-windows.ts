/**
 * Services that a worker stopped which did not live to start them again. Those of a machine that is reached over a host are
 * started by whoever leads; those of a worker's own machine only by a process there, and until then an event says so.
 */
import { hostname } from 'node:os';
import { messageOf } from '../../base/errors.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { titleOf } from '../../model/window.ts';
import {
  closeWindow,
  forgetWindow,
  keepWindow,
  type LeftWindow,
  leftRecords,
  leftWindows,
  windowsDirectory,
} from '../../runs/window/index.ts';
import { HostPool } from '../host-pool.ts';
import { repairLeftWindows } from '../left-windows.ts';
import { Maintenance } from '../maintenance.ts';
import type { Execution, SourceAccess } from '../operation.ts';

type Uses = SourceAccess & Execution & { readonly catalogue: Catalogue };

/** Closes what can be closed from here, and tells once of what cannot; who does not lead looks after its own machine only. Costs one query when nothing is left. */
export async function closeLeftWindows(uses: Uses, { leads }: { readonly leads: boolean }): Promise<void> {
  const left = await leftWindows(uses.catalogue);
  if (left.length === 0) return;
  if (left.some(isOfThisMachine)) await repairLeftWindows(uses);
  for (const one of left) {
    if (isOfThisMachine(one)) await settleHere(one, uses);
    else if (!leads) continue;
    else if (isFar(one, uses)) await closeFrom(one, uses);
    else await tell(one, uses, `they are on the machine of the worker ${one.worker}, which is not back yet`);
  }
}

/** The name of a worker begins with that of its machine. */
function isOfThisMachine({ worker }: LeftWindow): boolean {
  return worker.split(':')[0] === hostname();
}

/** Reached over the network: by this process as well as by the one that died. */
function isFar({ record }: LeftWindow, { config, hostKinds }: Uses): boolean {
  const entry = config.hosts.get(record.host);
  const kind = hostKinds.find((one) => one.name === entry?.kind);
  return entry !== undefined && kind !== undefined && !['local', 'docker'].includes(kind.name);
}

/** The directory of this machine says whether it was done; without it, to start once more what runs does no harm. */
async function settleHere(left: LeftWindow, uses: Uses): Promise<void> {
  const records = await leftRecords(windowsDirectory(uses.env), { own: true });
  if (records.some((one) => one.id === left.id))
    await tell(left, uses, 'they could not be started; it is tried again when its process starts anew');
  else await closeFrom({ ...left, record: { ...left.record, after: [] } }, uses);
}

async function closeFrom(left: LeftWindow, uses: Uses): Promise<void> {
  const { catalogue, clock } = uses;
  try {
    await using hosts = new HostPool(uses);
    await using maintenance = new Maintenance({ ...uses, hosts });
    const closed = await closeWindow(left.record, { ...(await maintenance.reach(left.record.host)), clock });
    if (closed.left.length === 0) {
      if (closed.failures.length > 0) await tellFailures(left, closed.failures, uses);
      return await forgetWindow(catalogue, left.id);
    }
    const still = { ...left, record: { ...left.record, stopped: closed.left, after: [] } };
    await tell(still, uses, closed.failures.join('; '));
  } catch (error) {
    await tell(left, uses, messageOf(error));
  }
}

/** All runs again, but a step after the backup failed: it is not tried a second time. */
async function tellFailures(
  { record, run }: LeftWindow,
  failures: readonly string[],
  { catalogue }: Uses,
): Promise<void> {
  await recordHappening(catalogue, {
    type: 'run.warning',
    title: `the steps after a backup of ${record.source} that was lost were made up for, and failed`,
    message: failures.join('; '),
    remedy: 'Do by hand what these steps do.',
    source: record.source,
    run,
  });
}

async function tell(left: LeftWindow, uses: Uses, why: string): Promise<void> {
  const { catalogue } = uses;
  const { record, run } = left;
  if (!left.isTold && record.stopped.length > 0) {
    const names = record.stopped.map(({ stop }) => titleOf(stop)).join(', ');
    await recordHappening(catalogue, {
      type: 'service.stopped',
      title: `${names} IS STILL STOPPED: a backup of ${record.source} did not live to start it`,
      message: why,
      remedy: 'Start it by hand, or bring the worker back: it starts what it stopped.',
      source: record.source,
      run,
    });
  }
  await keepWindow(catalogue, left, await catalogue.nowMs());
}
