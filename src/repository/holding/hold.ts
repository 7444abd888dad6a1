/**
 * Holding what is needed (Object Lock): whatever is stored is held for some days, and what snapshots still need then is held
 * anew; what was removed is removed for good once nobody could want it back. Memory: the names of a page of the listing.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import type { ObjectHistory, ObjectRetention, ObjectVersion } from '../../storage/object-retention.ts';
import type { Storage } from '../../storage/storage.ts';
import { configName, isPassing, packsFolder } from '../layout.ts';

/** Hides the latency of a network; a request is some hundred bytes. */
const atOnce = 16;
const dayMs = 86_400_000;
const folders = ['keys', 'snapshots', 'index', 'holdfast', packsFolder];

export interface HoldResult {
  /** Objects that are there now, locks aside. */
  readonly objects: number;
  /** Of those, the ones that were held anew. */
  readonly renewed: number;
  /** Requests this took, besides those that listed: one for each object, and one more for each that was renewed. */
  readonly requests: number;
}

interface Uses {
  readonly nowMs: number;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

/**
 * Holds anew every object that is held for less than half of the days. `storage.unprotected` where nothing is held. What is
 * there after a prune is what snapshots need, but for the waste a prune leaves.
 */
export async function holdObjects(
  storage: Storage,
  { dryRun }: { readonly dryRun: boolean },
  { nowMs, report, signal }: Uses,
): Promise<HoldResult> {
  const retention = requireRetention(storage);
  await retention.requireReady(signal);
  report({ type: 'stage', stage: 'hold', subject: storage.location });
  const enoughMs = nowMs + (retention.days * dayMs) / 2;
  let objects = 0;
  let renewed = 0;
  const holdOne = async (name: string): Promise<void> => {
    objects++;
    const untilMs = await retention.heldUntilMs(name, signal);
    if (untilMs === undefined || untilMs < enoughMs) {
      renewed++;
      if (!dryRun) await retention.hold(name, signal);
    }
    if (objects % 1000 === 0) report({ type: 'progress', stage: 'hold', bytesDone: 0, itemsDone: objects });
  };
  await forEachConcurrent(namesIn(storage, signal), atOnce, holdOne, signal);
  return { objects, renewed, requests: objects + (dryRun ? 0 : renewed) };
}

async function* namesIn(storage: Storage, signal?: AbortSignal): AsyncGenerator<string> {
  yield configName;
  for (const folder of folders) for await (const { name } of storage.list(folder, signal)) yield name;
}

export interface SweepResult {
  /** Versions removed for good, and their bytes. */
  readonly versions: number;
  readonly bytes: number;
  /** What was removed or replaced and stays for now: not long enough ago, still held, or not ours to remove. */
  readonly leftVersions: number;
  readonly leftBytes: number;
}

/**
 * Removes for good what was removed or replaced more than `days` ago. For so long everything can be brought back
 * (`rewindStorage`), whoever removed it.
 */
export async function sweepVersions(
  storage: Storage,
  { dryRun }: { readonly dryRun: boolean },
  { nowMs, report, signal }: Uses,
): Promise<SweepResult> {
  const retention = requireRetention(storage);
  const history = requireHistory(storage);
  report({ type: 'stage', stage: 'sweep', subject: storage.location });
  const hiddenBeforeMs = nowMs - retention.days * dayMs;
  const swept = { versions: 0, bytes: 0, leftVersions: 0, leftBytes: 0 };
  const remove = async (version: ObjectVersion): Promise<void> => {
    const gone = dryRun || (await history.removeVersion(version, signal));
    count(swept, version, gone);
  };
  const due = hiddenVersions(history, { hiddenBeforeMs, left: (version) => count(swept, version, false) }, signal);
  await forEachConcurrent(due, atOnce, remove, signal);
  return swept;
}

function count(
  swept: { versions: number; bytes: number; leftVersions: number; leftBytes: number },
  { sizeBytes }: ObjectVersion,
  gone: boolean,
): void {
  if (gone) {
    swept.versions++;
    swept.bytes += sizeBytes;
  } else {
    swept.leftVersions++;
    swept.leftBytes += sizeBytes;
  }
}

/** Versions that something newer has hidden for long enough; a mark of removal goes when it hides nothing any more. */
async function* hiddenVersions(
  history: ObjectHistory,
  { hiddenBeforeMs, left }: { readonly hiddenBeforeMs: number; readonly left: (version: ObjectVersion) => void },
  signal?: AbortSignal,
): AsyncGenerator<ObjectVersion> {
  let newer: ObjectVersion | undefined;
  for await (const version of history.versions(signal)) {
    const hiding = newer?.name === version.name ? newer : undefined;
    if (newer && !hiding && isLoneMark(newer, hiddenBeforeMs)) yield newer;
    newer = version;
    if (!hiding) continue;
    if (hiding.storedAtMs <= hiddenBeforeMs || isPassing(version.name)) yield version;
    else left(version);
  }
  if (newer && isLoneMark(newer, hiddenBeforeMs)) yield newer;
}

/** The last version of its object that was seen; one that hides others is not the last. */
function isLoneMark({ isCurrent, isRemoval, storedAtMs }: ObjectVersion, hiddenBeforeMs: number): boolean {
  return isCurrent && isRemoval && storedAtMs <= hiddenBeforeMs;
}

export function requireHistory({ history, location }: Storage): ObjectHistory {
  if (history) return history;
  throw new HoldfastError({
    code: 'storage.unprotected',
    message: `${location} keeps nothing of what was removed or replaced`,
    remedy: 'Only buckets with versioning do: see docs/immutability.md.',
  });
}

function requireRetention({ retention, location }: Storage): ObjectRetention {
  if (retention) return retention;
  throw new HoldfastError({
    code: 'storage.unprotected',
    message: `nothing in ${location} is held against removal`,
    remedy:
      'Hold it in a bucket with Object Lock: s3: { objectLock: { mode: compliance, days: 30 } }. See docs/immutability.md.',
  });
}
