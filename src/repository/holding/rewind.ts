/**
 * Back to a moment: every object that was there then is there again with the bytes it had, and what came later is removed.
 * Nothing is destroyed by it: what it hides stays as older versions, so a rewind can itself be rewound. Needs no password:
 * it works on objects, whatever was done to keys and config. Memory: one object's versions.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import type { ObjectHistory, ObjectVersion } from '../../storage/object-retention.ts';
import type { Storage } from '../../storage/storage.ts';
import { isPassing } from '../layout.ts';
import { requireHistory } from './hold.ts';

const atOnce = 8;

export interface RewindResult {
  readonly dryRun: boolean;
  /** Objects that were removed or replaced since, and are back. */
  readonly broughtBack: number;
  readonly bytes: number;
  /** Objects that came since, and are removed. */
  readonly removed: number;
  /** Objects that are as they were. */
  readonly unchanged: number;
}

/** What has to be done with one object. */
type Step = 'keep' | 'remove' | { readonly bringBack: ObjectVersion };

/** Nobody else may use the repository meanwhile; the locks that lie there are removed, since their holders are gone or go on in vain. */
export async function rewindStorage(
  storage: Storage,
  request: { readonly atMs: number; readonly dryRun: boolean },
  report: Report,
  signal?: AbortSignal,
): Promise<RewindResult> {
  const history = requireHistory(storage);
  await history.requireVersions(signal);
  report({ type: 'stage', stage: 'rewind', subject: storage.location });
  const done = { dryRun: request.dryRun, broughtBack: 0, bytes: 0, removed: 0, unchanged: 0 };
  const perform = async (versions: readonly ObjectVersion[]): Promise<void> => {
    throwIfCancelled(signal);
    const step = stepOf(versions, request.atMs);
    if (step === 'keep') {
      if (!versions[0].isRemoval) done.unchanged++;
    } else if (step === 'remove') {
      if (!request.dryRun) await storage.delete(versions[0].name, signal);
      done.removed++;
    } else {
      if (!request.dryRun) await history.bringBack(step.bringBack, signal);
      done.broughtBack++;
      done.bytes += step.bringBack.sizeBytes;
    }
  };
  await forEachConcurrent(objectsOf(history, signal), atOnce, perform, signal);
  return done;
}

/** `versions` are one object's, newest first. */
export function stepOf(versions: readonly ObjectVersion[], atMs: number): Step {
  const [current] = versions;
  const isThere = current.isCurrent && !current.isRemoval;
  const then = isPassing(current.name) ? undefined : versions.find((version) => version.storedAtMs <= atMs);
  if (!then || then.isRemoval) return isThere ? 'remove' : 'keep';
  if (!isThere) return { bringBack: then };
  // A rewind that was interrupted has brought some back already.
  const isSame = current.versionId === then.versionId || (current.tag !== undefined && current.tag === then.tag);
  return isSame && current.sizeBytes === then.sizeBytes ? 'keep' : { bringBack: then };
}

async function* objectsOf(history: ObjectHistory, signal?: AbortSignal): AsyncGenerator<ObjectVersion[]> {
  let group: ObjectVersion[] = [];
  for await (const version of history.versions(signal)) {
    if (group.length > 0 && group[0].name !== version.name) {
      yield group;
      group = [];
    }
    group.push(version);
  }
  if (group.length > 0) yield group;
}
