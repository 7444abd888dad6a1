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
  addWindow,
  claimedElsewhere,
  closeWindow,
  forgetWindow,
  keepWindow,
  keptPlaceOf,
  knownWindows,
  type LeftWindow,
  leftRecords,
  placeOf,
  type Repaired,
  touchedBy,
  windowsDirectory,
} from '../../runs/window/index.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { HostPool } from '../sources/host-pool.ts';
import { repairLeftWindows } from '../sources/left-windows.ts';
import { isHere } from '../sources/machine-of.ts';
import { Maintenance } from '../sources/maintenance.ts';

type Uses = SourceAccess & Execution & { readonly catalogue: Catalogue };

const firstPauseMs = 20_000;
const longestPauseMs = 300_000;
/** Somebody who overlooked that a service is stopped is told again. */
const tellAgainMs = 24 * 3_600_000;

/** Records that nothing can be done about, by id: this process has said so. */
const unreadable = new Set<string>();

/** What came of trying: `rest` is what is still to be done, as far as that is known. */
type Tried = Pick<Repaired, 'rest' | 'isClosed' | 'failures' | 'failedSteps'>;

/**
 * Closes what can be closed from here and is due, and tells of what cannot; who does not lead looks after its own machine
 * only. What an open window has claimed waits for its end. Costs one query, and a look at a directory, when nothing is left.
 */
export async function closeLeftWindows(uses: Uses, { leads }: { readonly leads: boolean }): Promise<void> {
  const { catalogue } = uses;
  const { left } = await knownWindows(catalogue);
  const nowMs = left.length > 0 ? await catalogue.nowMs() : 0;
  const due = new Set(left.filter(({ tries }) => (tries.nextAtMs ?? 0) <= nowMs).map(({ id }) => id));
  const known = new Set(left.map(({ id }) => id));
  const isAgain = (id: string): boolean => (known.has(id) ? due.has(id) : !unreadable.has(id));
  const repaired = await repairLeftWindows(uses, isAgain, () => claimedNow(uses));
  for (const one of repaired) if (!known.has(one.id)) await settleUnknown(one, uses);
  const rest = left.filter(({ id }) => due.has(id) && repaired.every((one) => one.id !== id));
  for (const one of left) {
    const tried = repaired.find(({ id }) => id === one.id);
    if (tried) await settle(one, tried, uses);
  }
  if (rest.length > 0) await lookAfter(rest, uses, leads);
}

/** Read anew each time: while a service is started, or a machine is connected to, another window may open. */
async function claimedNow({ catalogue }: Uses): Promise<ReadonlySet<string>> {
  return (await knownWindows(catalogue)).claimed;
}

/** Those that are due, and of which the directory of this machine has nothing to be done here. */
async function lookAfter(windows: readonly LeftWindow[], uses: Uses, leads: boolean): Promise<void> {
  const isOwn = await ownWindows(uses);
  for (const one of windows) {
    if (isOwn(one)) await settleHere(one, uses);
    else if (!leads) continue;
    else if (isReached(one, uses)) await closeAndSettle(one, uses);
    else await tellOnce(one, uses, `they are on the machine of the worker ${one.worker}, which is not back yet`);
  }
}

/** Those of this state directory. Rows of earlier versions say only how the worker was called: first, after its machine. */
async function ownWindows({ env }: Uses): Promise<(window: LeftWindow) => boolean> {
  const here = await placeOf(windowsDirectory(env));
  return ({ place, worker }) => (place === undefined ? worker.split(':')[0] === hostname() : place === here);
}

/** By this process as well as by the one that died: over the network, or here, where a catalogue in a file is used. */
function isReached({ record }: LeftWindow, { config, hostKinds }: Uses): boolean {
  if (config.server.catalogue?.kind !== 'postgres') return true;
  const entry = config.hosts.get(record.host);
  const kind = hostKinds.find((one) => one.name === entry?.kind);
  return entry !== undefined && kind !== undefined && !isHere(kind.name);
}

/** Of a command that wrote nothing into the catalogue: what cannot be started is looked after like all others from now on. */
async function settleUnknown(tried: Repaired, uses: Uses): Promise<void> {
  const { id, source, started, rest, isClosed } = tried;
  if (!isClosed && rest === undefined) return void unreadable.add(id);
  // Where it cannot be written down, the name of this machine says it.
  const place = await keptPlaceOf(windowsDirectory(uses.env)).catch(() => undefined);
  const nothing = { format: 1, config: uses.config.file, source, host: 'local', openedAtMs: 0, after: [] } as const;
  const record = { ...nothing, ...rest, stopped: [...started, ...(rest?.stopped ?? [])] };
  const left = { id, run: '', worker: hostname(), place, record, tries: {} };
  if (!isClosed) await addWindow(uses.catalogue, left);
  await settle(left, tried, uses);
}

/**
 * What the directory of this machine has is another process's that lives and tries itself, or another configuration's. What
 * it does not have was done; to start once more what runs does no harm.
 */
async function settleHere(left: LeftWindow, uses: Uses): Promise<void> {
  const there = (await leftRecords(windowsDirectory(uses.env), { all: true })).find(({ id }) => id === left.id);
  if (!there) return await closeAndSettle({ ...left, record: { ...left.record, after: [] } }, uses);
  if (there.record && there.record.config !== uses.config.file)
    await tellOnce(left, uses, `they are of ${there.record.config}, and its process is not back yet`);
}

async function closeAndSettle(left: LeftWindow, uses: Uses): Promise<void> {
  if (await isClaimed(left, uses)) return;
  const tried = await closeFrom(left, uses);
  if (tried) await settle(left, tried, uses);
}

async function isClaimed({ record }: LeftWindow, uses: Uses): Promise<boolean> {
  const touched = touchedBy(record);
  const claimed = await claimedNow(uses);
  if (touched.some((claim) => claimed.has(claim))) return true;
  return (await claimedElsewhere(windowsDirectory(uses.env), touched)) !== undefined;
}

/** `undefined` if it is another window's by now. */
async function closeFrom(left: LeftWindow, uses: Uses): Promise<Tried | undefined> {
  const { record } = left;
  try {
    await using hosts = new HostPool(uses);
    await using maintenance = new Maintenance({ ...uses, hosts });
    const reached = await maintenance.reach(record.host);
    // Once more: to reach it took time.
    if (await isClaimed(left, uses)) return undefined;
    const closed = await closeWindow(record, { ...reached, clock: uses.clock });
    const isClosed = closed.left.length === 0;
    return { ...closed, isClosed, rest: isClosed ? undefined : { ...record, stopped: closed.left, after: [] } };
  } catch (error) {
    return { rest: record, isClosed: false, failures: [messageOf(error)], failedSteps: [] };
  }
}

async function settle(left: LeftWindow, { rest, isClosed, failures, failedSteps }: Tried, uses: Uses): Promise<void> {
  const { catalogue } = uses;
  if (failedSteps.length > 0) await tellFailedSteps(left, failedSteps, uses);
  const runAgain = isClosed || rest?.stopped.length === 0;
  if (runAgain && left.record.stopped.length > 0) await tellStarted(left, uses);
  if (isClosed) return await forgetWindow(catalogue, left.id);
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
    run: run || undefined,
  });
}

/** Once for each source whose alarm this ends. */
async function tellStarted({ record, run, others = [] }: LeftWindow, { catalogue }: Uses): Promise<void> {
  const { stopped } = record;
  for (const source of new Set([record.source, ...others]))
    await recordHappening(catalogue, {
      type: 'service.started',
      title: `${namesOf(stopped)}, which a backup of ${source} had left stopped, ${stopped.length > 1 ? 'run' : 'runs'} again`,
      ...{ source, run: (source === record.source && run) || undefined },
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
    ...{ source, run: run || undefined },
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
