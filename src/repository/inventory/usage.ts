/**
 * What of a repository is needed: every snapshot's trees are read, packs that no index names are read for what they hold,
 * and of a blob stored several times one copy is chosen. Anything that cannot be read ends it: what is needed must be
 * known completely before anything is removed. Memory: the inventory and one bit a blob, see there.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { errorOf, type RepositoryFault } from '../check/fault.ts';
import type { PackFigures } from '../prune/prune-plan.ts';
import { readPackHeader } from '../reading/pack-files.ts';
import { listSnapshots } from '../records/snapshots.ts';
import type { Repository } from '../repository.ts';
import type { WorkerPool } from '../worker/pool.ts';
import type { EntrySet } from './entry-set.ts';
import { addPackEntries, type Inventory, takeInventory } from './inventory.ts';
import { TreeWalk } from './walk-trees.ts';

const readsAtOnce = 4;
const mostFaults = 100;

export interface Usage {
  readonly inventory: Inventory;
  readonly snapshotIds: ReadonlySet<string>;
  /** Entries that snapshots need. */
  readonly used: EntrySet;
  /** The pack number of the copy of a needed blob that stays. */
  keptIn(entry: number): number;
  /** By the index's pack numbers. */
  readonly packs: readonly PackFigures[];
  /** Packs that are in no index, or named wrongly by one, and hold nothing that can be read: nothing needs them. */
  readonly useless: readonly { readonly id: string; readonly sizeBytes: number }[];
  /** True if the index files say anything else than this inventory. */
  readonly indexIsWrong: boolean;
}

export async function surveyUsage(
  repository: Repository,
  pool: WorkerPool,
  options: { progress?: (trees: number) => void; signal?: AbortSignal } = {},
): Promise<Usage> {
  const { signal } = options;
  const faults: RepositoryFault[] = [];
  const report = (fault: RepositoryFault): void => {
    // Always room for the first of a kind, so that what stops a prune cannot be crowded out.
    if (faults.length < mostFaults || !faults.some(({ kind }) => kind === fault.kind)) faults.push(fault);
  };
  const snapshots = await listSnapshots(repository, signal);
  const inventory = await takeInventory(repository, report, signal);
  const indexIsWrong = faults.length > 0;
  stopAt(faults, 'index-damaged');
  const adopted = await addUnindexed(repository, inventory, signal);
  const { index } = inventory;
  const walk: TreeWalk = new TreeWalk({
    repository,
    index,
    pool,
    report,
    progress: () => options.progress?.(walk.trees),
    signal,
  });
  await walk.reach(snapshots.map((snapshot) => snapshot.tree));
  walk.release();
  stopAt(faults, 'tree-damaged', 'blob-missing');
  const copies = chosenCopies(inventory, walk.used);
  const keptIn = (entry: number): number => copies.get(entry) ?? index.packNumber(entry);
  return {
    inventory,
    snapshotIds: new Set(snapshots.map((snapshot) => snapshot.id)),
    used: walk.used,
    keptIn,
    packs: figuresOf(inventory, walk.used, keptIn),
    useless: [...inventory.packSizes]
      .filter(([id]) => !index.hasPack(id))
      .map(([id, sizeBytes]) => ({ id, sizeBytes })),
    indexIsWrong: indexIsWrong || adopted > 0,
  };
}

/** Throws for the first fault of the kinds, naming the pack that is missing or damaged if that may be the cause. */
function stopAt(faults: readonly RepositoryFault[], ...kinds: readonly RepositoryFault['kind'][]): void {
  const stopping = faults.find((fault) => kinds.includes(fault.kind));
  if (!stopping) return;
  const pack = faults.find((fault) => fault.kind === 'pack-missing' || fault.kind === 'pack-damaged');
  const error = errorOf(stopping);
  throw new HoldfastError({
    code: error.code,
    message: `nothing was removed, because not all that is needed can be found: ${pack ? `${pack.message}; ` : ''}${stopping.message}`,
    remedy: pack?.remedy ?? stopping.remedy,
    context: error.context,
  });
}

/** What an interrupted run left may be needed, if the index that named it is lost. Returns how many packs were added. */
export async function addUnindexed(
  repository: Repository,
  inventory: Inventory,
  signal?: AbortSignal,
): Promise<number> {
  const { index, duplicates, packSizes, indexedPacks } = inventory;
  let added = 0;
  await forEachConcurrent(
    packSizes,
    readsAtOnce,
    async ([id, sizeBytes]) => {
      if (indexedPacks.has(id)) return;
      try {
        addPackEntries(index, duplicates, id, await readPackHeader(repository, id, sizeBytes, signal));
        added++;
      } catch (error) {
        if (!hasCode(error, 'repository.damaged')) throw error;
      }
    },
    signal,
  );
  return added;
}

function figuresOf(
  { index, duplicates, packSizes }: Inventory,
  used: EntrySet,
  keptIn: Usage['keptIn'],
): PackFigures[] {
  const count = index.packs.length;
  const usedBytes = new Float64Array(count);
  const unusedBytes = new Float64Array(count);
  const usedBlobs = new Uint32Array(count);
  /** 1 data, 2 tree, 3 both. */
  const holds = new Uint8Array(count);
  const add = (entry: number, pack: number, length: number, isFirst: boolean): void => {
    const isKept = used.has(entry) && keptIn(entry) === pack && (isFirst || index.packNumber(entry) !== pack);
    (isKept ? usedBytes : unusedBytes)[pack] += length;
    if (isKept) usedBlobs[pack]++;
    holds[pack] |= index.type(entry) === 'data' ? 1 : 2;
  };
  for (let entry = 0; entry < index.size; entry++) add(entry, index.packNumber(entry), index.storedLength(entry), true);
  for (const { entry, pack, length } of duplicates) add(entry, pack, length, false);
  return index.packs.map((id, pack) => ({
    id,
    sizeBytes: packSizes.get(id)!,
    usedBytes: usedBytes[pack],
    unusedBytes: unusedBytes[pack],
    usedBlobs: usedBlobs[pack],
    holds: holds[pack] === 1 ? 'data' : holds[pack] === 2 ? 'tree' : 'both',
  }));
}

/**
 * The pack whose copy stays, for blobs that another than the first copy is kept of. A copy in a pack without waste is
 * preferred: such packs are what an interrupted prune has written already.
 */
function chosenCopies({ index, duplicates }: Inventory, used: EntrySet): ReadonlyMap<number, number> {
  const chosen = new Map<number, number>();
  if (duplicates.length === 0) return chosen;
  const wasteful = new Uint8Array(index.packs.length);
  for (let entry = 0; entry < index.size; entry++) if (!used.has(entry)) wasteful[index.packNumber(entry)] = 1;
  for (const { entry, pack } of duplicates) if (!used.has(entry)) wasteful[pack] = 1;
  for (const { entry, pack } of duplicates) {
    const now = chosen.get(entry) ?? index.packNumber(entry);
    if (wasteful[now] && !wasteful[pack]) chosen.set(entry, pack);
  }
  return chosen;
}
