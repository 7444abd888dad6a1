/**
 * Checking a repository: that every snapshot can be restored from what is stored, and with `readData` that every stored
 * byte is what it was. Changes nothing. Memory: the inventory (about 54 bytes a blob), the fetcher's slabs (about 50 MiB), and
 * with `readData` at most four packs of up to 32 MiB.
 */
import type { Report } from '../../model/run.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { type Inventory, takeInventory } from '../inventory/inventory.ts';
import { TreeWalk } from '../inventory/walk-trees.ts';
import { lockForReading } from '../locking/read-lock.ts';
import { readableSnapshots } from '../repair/readable-snapshots.ts';
import type { Repository } from '../repository.ts';
import { type WorkerPool, workerPoolFor } from '../worker/pool.ts';
import { affectedBy } from './affected.ts';
import { type AffectedSnapshot, faultOf, harmless, type RepositoryFault } from './fault.ts';
import { PackReader } from './read-packs.ts';
import { choosePacks, type PackSubset, wholeGroups } from './subset.ts';

/** Faults kept in a result; what is beyond is only counted. */
const mostFaults = 500;

export interface CheckOptions {
  /** false: structure only · true: every stored byte · a subset of the packs, see `choosePacks`. */
  readonly readData: boolean | { readonly subset: PackSubset };
}

export interface CheckCounts {
  indexFiles: number;
  snapshots: number;
  trees: number;
  packs: number;
  packBytes: number;
  blobs: number;
  unusedBlobs: number;
  /** Stored bytes of blobs that no snapshot needs: prune frees them. */
  unusedBytes: number;
  unindexedPacks: number;
  packsRead: number;
  bytesRead: number;
}

export interface CheckResult {
  /** Empty: every snapshot can be restored, as far as was read. */
  readonly errors: readonly RepositoryFault[];
  /** Errors beyond those listed. */
  readonly moreErrors: number;
  readonly warnings: readonly RepositoryFault[];
  readonly moreWarnings: number;
  readonly affected: readonly AffectedSnapshot[];
  /** Groups of packs (by the first byte of their ids) of which every pack was read and found sound. */
  readonly groupsRead: ReadonlySet<number>;
  readonly counts: CheckCounts;
}

/** Checks under a shared lock (without one where the repository cannot be written). A storage that fails altogether throws. */
export async function checkRepository(
  repository: Repository,
  options: CheckOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<CheckResult> {
  await using lock = await lockForReading(repository, report, { signal });
  await using pool = workerPoolFor(repository);
  // They start while snapshots and index are read.
  if (options.readData !== false) pool.warm(pool.threads);
  const checker = new Checker({ repository, pool, report, signal: lock?.signal ?? signal });
  return await checker.check(options);
}

interface CheckerParts {
  readonly repository: Repository;
  readonly pool: WorkerPool;
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
}

class Checker {
  readonly #parts: CheckerParts;
  readonly #errors: RepositoryFault[] = [];
  readonly #warnings: RepositoryFault[] = [];
  /** Subjects with the kind, so that a blob a thousand files need is one error. */
  readonly #known = new Set<string>();
  readonly #harmedGroups = new Set<number>();
  #moreErrors = 0;
  #moreWarnings = 0;

  constructor(parts: CheckerParts) {
    this.#parts = parts;
  }

  async check({ readData }: CheckOptions): Promise<CheckResult> {
    const { repository, report, signal } = this.#parts;
    report({ type: 'stage', stage: 'index' });
    // Snapshots before the index: whatever a snapshot that is listed now needs is indexed by then.
    const snapshots = await readableSnapshots(repository, this.#fault, signal);
    const inventory = await takeInventory(repository, this.#fault, signal);
    this.#unindexed(inventory);
    report({ type: 'stage', stage: 'trees' });
    const walk = await this.#walk(inventory, snapshots);
    const reader = new PackReader({
      ...this.#parts,
      inventory,
      report: this.#fault,
      progress: this.#readProgress(inventory, readData),
    });
    if (readData !== false) {
      report({ type: 'stage', stage: 'read-data' });
      await reader.read(choosePacks(inventory.packSizes, readData === true ? undefined : readData.subset));
    }
    const damaged = { has: (entry: number) => walk.unreadable.has(entry) || reader.damaged.has(entry) };
    const { index } = inventory;
    const affected =
      this.#errors.length === 0 ? [] : await affectedBy({ repository, index, damaged, signal }, snapshots);
    return {
      errors: this.#errors,
      moreErrors: this.#moreErrors,
      warnings: this.#warnings,
      moreWarnings: this.#moreWarnings,
      affected,
      groupsRead: this.#soundGroups(readData),
      counts: countsOf(inventory, walk, { reader, snapshots: snapshots.length }),
    };
  }

  async #walk({ index }: Inventory, snapshots: readonly StoredSnapshot[]): Promise<TreeWalk> {
    const { report } = this.#parts;
    const walk: TreeWalk = new TreeWalk({
      ...this.#parts,
      index,
      report: this.#fault,
      progress: () => {
        if (walk.trees % 1000 === 0) report({ type: 'progress', stage: 'trees', bytesDone: 0, itemsDone: walk.trees });
      },
    });
    await walk.reach(snapshots.map((snapshot) => snapshot.tree));
    walk.release();
    return walk;
  }

  #soundGroups(readData: CheckOptions['readData']): ReadonlySet<number> {
    const groups = new Set(readData === false ? [] : wholeGroups(readData === true ? undefined : readData.subset));
    for (const group of this.#harmedGroups) groups.delete(group);
    return groups;
  }

  #unindexed({ packSizes, indexedPacks }: Inventory): void {
    for (const [id, sizeBytes] of packSizes) {
      if (indexedPacks.has(id)) continue;
      this.#fault(faultOf('pack-unindexed', `pack ${id}`, `pack ${id} (${sizeBytes} bytes) is in no index`));
    }
  }

  #readProgress({ packSizes }: Inventory, readData: CheckOptions['readData']): (bytes: number) => void {
    const { report } = this.#parts;
    const bytesTotal = readData === true ? sum(packSizes.values()) : undefined;
    let bytesDone = 0;
    let itemsDone = 0;
    return (bytes) => {
      bytesDone += bytes;
      itemsDone++;
      report({ type: 'progress', stage: 'read-data', bytesDone, itemsDone, bytesTotal });
    };
  }

  readonly #fault = (fault: RepositoryFault): void => {
    const group = /^data\/([0-9a-f]{2})\//.exec(fault.subject);
    if (group) this.#harmedGroups.add(Number.parseInt(group[1], 16));
    const isWarning = harmless.has(fault.kind);
    const list = isWarning ? this.#warnings : this.#errors;
    if (list.length < mostFaults) {
      const key = `${fault.kind} ${fault.subject} ${fault.kind === 'pack-damaged' ? fault.message : ''}`;
      if (this.#known.has(key)) return;
      this.#known.add(key);
      list.push(fault);
    } else if (isWarning) {
      this.#moreWarnings++;
    } else {
      this.#moreErrors++;
    }
  };
}

function countsOf(
  { index, packSizes, indexFiles, indexedPacks }: Inventory,
  walk: TreeWalk,
  { reader, snapshots }: { reader: PackReader; snapshots: number },
): CheckCounts {
  let unusedBytes = 0;
  for (let entry = 0; entry < index.size; entry++) if (!walk.used.has(entry)) unusedBytes += index.storedLength(entry);
  let unindexedPacks = 0;
  for (const id of packSizes.keys()) if (!indexedPacks.has(id)) unindexedPacks++;
  return {
    indexFiles: indexFiles.length,
    snapshots,
    trees: walk.trees,
    packs: packSizes.size,
    packBytes: sum(packSizes.values()),
    blobs: index.size,
    unusedBlobs: index.size - walk.used.size,
    unusedBytes,
    unindexedPacks,
    packsRead: reader.packs,
    bytesRead: reader.bytes,
  };
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
