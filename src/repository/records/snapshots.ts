/** Snapshot files: list, save, find by what a person types. */
import { parseInstant } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { isState, type Snapshot, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { decodeSnapshot, encodeSnapshot, snapshotTimeMs } from '../format/snapshot.ts';
import { pinName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { forEachUnpacked, loadUnpacked, saveUnpacked } from '../sealing/unpacked.ts';

/** Snapshot files read at once: small ones, each of which waits for a network. */
const snapshotReads = 16;

/** All snapshots, oldest first. One that was removed meanwhile is left out; a damaged one throws. */
export async function listSnapshots(repository: Repository, signal?: AbortSignal): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  await forEachSnapshot(
    repository,
    async (_, load) => {
      try {
        snapshots.push(await load());
      } catch (error) {
        if (!hasCode(error, 'storage.not-found')) throw error;
      }
    },
    signal,
  );
  return snapshots.sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1));
}

/** Every snapshot that is listed, some at a time and in no order. */
export async function forEachSnapshot(
  repository: Repository,
  use: (id: string, load: () => Promise<StoredSnapshot>) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const useFile = (id: string, json: () => Promise<Uint8Array>): Promise<void> =>
    use(id, async () => storedSnapshot(id, await json()));
  await forEachUnpacked(repository, 'snapshots', useFile, { atOnce: snapshotReads, signal });
}

export async function loadSnapshot(repository: Repository, id: string, signal?: AbortSignal): Promise<StoredSnapshot> {
  return storedSnapshot(id, await loadUnpacked(repository, 'snapshots', id, signal));
}

function storedSnapshot(id: string, json: Uint8Array): StoredSnapshot {
  const snapshot = decodeSnapshot(json);
  return { ...snapshot, id, timeMs: snapshotTimeMs(snapshot) };
}

/** Makes a snapshot visible: the last step of a backup. Returns its id. */
export async function saveSnapshot(repository: Repository, snapshot: Snapshot): Promise<string> {
  return await saveUnpacked(repository, 'snapshots', encodeSnapshot(snapshot));
}

/** The same for one that is pinned: the pin is there first, so that no failure between the two leaves it without. */
export async function savePinnedSnapshot(repository: Repository, snapshot: Snapshot): Promise<string> {
  const pin = (id: string): Promise<void> => repository.storage.put(pinName(id), []);
  return await saveUnpacked(repository, 'snapshots', encodeSnapshot(snapshot), pin);
}

/**
 * Finds the snapshot a person means among `snapshots` (oldest first): an id, a unique prefix of one (4 digits or more),
 * `latest`, `SOURCE`, `SOURCE@latest`, or `SOURCE@TIME`, which is the newest state not younger than TIME.
 */
export function findSnapshot(snapshots: readonly StoredSnapshot[], wanted: string): StoredSnapshot {
  const at = wanted.lastIndexOf('@');
  const source = at > 0 ? wanted.slice(0, at) : wanted;
  const moment = at > 0 ? wanted.slice(at + 1) : 'latest';
  const candidates =
    wanted === 'latest'
      ? snapshots.filter((one) => !isState(one))
      : snapshots.filter((one) => sourceOf(one) === source);
  if (candidates.length > 0) return newestAt(candidates, moment, wanted);
  if (at < 0 && /^[0-9a-f]{4,64}$/.test(wanted)) return byPrefix(snapshots, wanted);
  throw unknownSnapshot(`no snapshot matches «${wanted}»`);
}

function byPrefix(snapshots: readonly StoredSnapshot[], prefix: string): StoredSnapshot {
  const matching = snapshots.filter((one) => one.id.startsWith(prefix));
  if (matching.length === 1) return matching[0];
  if (matching.length === 0) throw unknownSnapshot(`no snapshot’s id begins with «${prefix}»`);
  throw new HoldfastError({
    code: 'snapshot.ambiguous',
    message: `${matching.length} snapshots begin with «${prefix}»`,
    remedy: 'Give more digits of the id.',
  });
}

function newestAt(candidates: readonly StoredSnapshot[], moment: string, wanted: string): StoredSnapshot {
  if (moment === 'latest') return candidates.at(-1)!;
  const limitMs = parseInstant(moment);
  if (limitMs === undefined) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `«${moment}» in «${wanted}» is not a time`,
      remedy: 'Write it like 2026-11-20T03:00Z, or use @latest.',
    });
  }
  const found = candidates.findLast((one) => one.timeMs <= limitMs);
  if (!found) throw unknownSnapshot(`there is no snapshot of that source at or before ${moment}`);
  return found;
}

function unknownSnapshot(message: string): HoldfastError {
  return new HoldfastError({
    code: 'snapshot.unknown',
    message,
    remedy: 'List what there is with: holdfast snapshots',
  });
}
