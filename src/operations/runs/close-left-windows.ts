/**
 * Services that a run left stopped: its process died, or lived and could not start them. Those of a machine that is reached
 * over a host are started by whoever leads; those of a worker's own machine only by a process there, and until then an event
 * says so. What fails is tried again until it works, less and less often.
 */
import { hostname } from 'node:os';
import { messageOf } from '../../base/errors.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type StopStep, titleOf } from '../../model/window.ts';
import {
  closeWindow,
  forgetWindow,
  keepWindow,
  type LeftWindow,
  leftRecords,
  leftWindows,
  type Repaired,
  windowsDirectory,
} from '../../runs/window/index.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { HostPool } from '../sources/host-pool.ts';
import { repairLeftWindows } from '../sources/left-windows.ts';
import { Maintenance } from '../sources/maintenance.ts';

type Uses = SourceAccess & Execution & { readonly catalogue: Catalogue };

const firstPauseMs = 20_000;
const longestPauseMs = 300_000;
/** Somebody who overlooked that a service is stopped is told again. */
const tellAgainMs = 24 * 3_600_000;

/** What came of trying: `rest` is what is still to be done, as far as that is known. */
type Tried = Pick<Repaired, 'rest' | 'isClosed' | 'failures' | 'failedSteps'>;

/**
 * Closes what can be closed from here and is due, and tells of what cannot; who does not lead looks after its own machine
 * only. Costs one query when nothing is left.
 */
export async function closeLeftWindows(uses: Uses, { leads }: { readonly leads: boolean }): Promise<void> {
  const { catalogue } = uses;
  const left = await leftWindows(catalogue);
  if (left.length === 0) return;
  const nowMs = await catalogue.nowMs();
  const due = new Set(left.filter(({ tries }) => (tries.nextAtMs ?? 0) <= nowMs).map(({ id }) => id));
  const repaired = left.some(isOfThisMachine) ? await repairLeftWindows(uses, (id) => due.has(id)) : [];
  for (const one of left) {
    const tried = repaired.find(({ id }) => id === one.id);
    if (tried) await settle(one, tried, uses);
    else if (!due.has(one.id)) continue;
    else if (isOfThisMachine(one)) await settleHere(one, uses);
    else if (!leads) continue;
    else if (isFar(one, uses)) await settle(one, await closeFrom(one, uses), uses);
    else await tellOnce(one, uses, `they are on the machine of the worker ${one.worker}, which is not back yet`);
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

/**
 * What the directory of this machine has is another process's that lives and tries itself, or another configuration's. What
 * it does not have was done; to start once more what runs does no harm.
 */
async function settleHere(left: LeftWindow, uses: Uses): Promise<void> {
  const there = (await leftRecords(windowsDirectory(uses.env), { all: true })).find(({ id }) => id === left.id);
  if (!there) {
    const done = { ...left, record: { ...left.record, after: [] } };
    return await settle(left, await closeFrom(done, uses), uses);
  }
  if (there.record && there.record.config !== uses.config.file)
    await tellOnce(left, uses, `they are of ${there.record.config}, and its process is not back yet`);
}

async function closeFrom({ record }: LeftWindow, uses: Uses): Promise<Tried> {
  try {
    await using hosts = new HostPool(uses);
    await using maintenance = new Maintenance({ ...uses, hosts });
    const closed = await closeWindow(record, { ...(await maintenance.reach(record.host)), clock: uses.clock });
    const isClosed = closed.left.length === 0;
    return { ...closed, isClosed, rest: isClosed ? undefined : { ...record, stopped: closed.left, after: [] } };
  } catch (error) {
    return { rest: record, isClosed: false, failures: [messageOf(error)], failedSteps: [] };
  }
}

async function settle(left: LeftWindow, { rest, isClosed, failures, failedSteps }: Tried, uses: Uses): Promise<void> {
  const { catalogue } = uses;
  if (failedSteps.length > 0) await tellFailedSteps(left, failedSteps, uses);
  if (isClosed) {
    if (left.record.stopped.length > 0) await tellStarted(left, uses);
    return await forgetWindow(catalogue, left.id);
  }
  const nowMs = await catalogue.nowMs();
  const { failed = 0 } = left.tries;
  const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failed, 10));
  const still = { ...left, record: rest ?? left.record };
  const toldAtMs = await tellStopped(still, uses, failures.join('; '));
  await keepWindow(catalogue, { ...still, tries: { toldAtMs, failed: failed + 1, nextAtMs: nowMs + pauseMs } });
}

/** All runs again, but a step after the backup failed: it is not tried a second time. */
async function tellFailedSteps(
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

async function tellStarted({ record, run }: LeftWindow, { catalogue }: Uses): Promise<void> {
  const { source, stopped } = record;
  await recordHappening(catalogue, {
    type: 'service.started',
    title: `${namesOf(stopped)}, which a backup of ${source} had left stopped, ${stopped.length > 1 ? 'run' : 'runs'} again`,
    ...{ source, run },
  });
}

/** Gives when it was told last: now, or before if that is not long ago. */
async function tellStopped(
  { record, run, tries }: LeftWindow,
  { catalogue }: Uses,
  why: string,
): Promise<number | undefined> {
  const { source, stopped } = record;
  const nowMs = await catalogue.nowMs();
  if (stopped.length === 0 || nowMs < (tries.toldAtMs ?? -Infinity) + tellAgainMs) return tries.toldAtMs;
  await recordHappening(catalogue, {
    type: 'service.stopped',
    title: `${namesOf(stopped)} IS STILL STOPPED: a backup of ${source} did not live to start it, or could not`,
    message: why,
    remedy: 'Start it by hand, or bring the worker back: it starts what it stopped, and tries again until it can.',
    ...{ source, run },
  });
  return nowMs;
}

/** Nothing can be tried from here. */
async function tellOnce(left: LeftWindow, uses: Uses, why: string): Promise<void> {
  const toldAtMs = await tellStopped(left, uses, why);
  if (toldAtMs !== left.tries.toldAtMs)
    await keepWindow(uses.catalogue, { ...left, tries: { ...left.tries, toldAtMs } });
}

function namesOf(stopped: readonly StopStep[]): string {
  return stopped.map(({ stop }) => titleOf(stop)).join(', ');
}
