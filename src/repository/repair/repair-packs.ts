/**
 * Repairing data: what still opens in damaged packs goes to new ones, what is lost comes from other repositories that have
 * it. Order: new packs, read back → new index, read back → old index removed → damaged packs removed. Killed between any two
 * steps, nothing readable is gone, and the next repair goes on.
 *
 * A damaged pack is removed in the end even if something in it is lost for good: left there, its own header would lead a
 * later rebuild of the index to the lost blobs again. A pack of which nothing at all is known stays; prune removes it.
 *
 * Memory: two inventories (about 54 bytes a blob each), what a backup takes, and about 200 bytes a lost blob.
 */
import { hash } from 'node:crypto';
import { fromHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { BlobIndex, type BlobType } from '../blob-index/blob-index.ts';
import { reloadIndex } from '../blob-index/index-files.ts';
import { affectedBy } from '../check/affected.ts';
import type { AffectedSnapshot, RepositoryFault } from '../check/fault.ts';
import { PackReader } from '../check/read-packs.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import { addPackEntries, type Inventory, takeInventory } from '../inventory/inventory.ts';
import { PackTable } from '../inventory/pack-table.ts';
import { addUnindexed } from '../inventory/usage.ts';
import { TreeWalk } from '../inventory/walk-trees.ts';
import { idInName, packName } from '../layout.ts';
import { lockRepository } from '../locking/locks.ts';
import { lockForReading } from '../locking/read-lock.ts';
import {
  concat,
  packsOf,
  removeIndexFiles,
  replaceableIndexFiles,
  verifyIndexFiles,
  writeIndexFiles,
} from '../prune/rewrite-index.ts';
import { Repository } from '../repository.ts';
import { BlobSaver } from '../saving/blob-saver.ts';
import { type WorkerPool, workerPoolFor } from '../worker/pool.ts';
import { type Donor, type HealedBlobs, Healer } from './heal.ts';
import { readableSnapshots } from './readable-snapshots.ts';
import { blobKey, salvagePack } from './salvage.ts';

const readsAtOnce = 4;
const deletesAtOnce = 8;
/** Lost blobs named in a result; what is beyond is only counted. */
const mostNamed = 500;

export interface PackRepairOptions {
  /** Which packs are read to find damage: all, or those named; in any case those that show damage without being read. */
  readonly packs: 'all' | readonly string[];
  /** Where lost blobs are looked for, in this order. */
  readonly donors?: readonly Donor[];
  /** Say what would be done, change nothing. */
  readonly dryRun?: boolean;
  readonly lockWaitMs?: number;
}

export interface DamagedPackResult {
  readonly id: string;
  readonly faults: readonly string[];
  /** Blobs in it that open. */
  readonly readable: number;
  /** Blobs in it that do not. */
  readonly unreadable: number;
}

export interface PackRepairResult {
  readonly dryRun: boolean;
  readonly packsRead: number;
  readonly bytesRead: number;
  readonly damaged: readonly DamagedPackResult[];
  /** Blobs saved from damaged packs: those that lie nowhere else. */
  readonly savedBlobs: number;
  readonly savedBytes: number;
  readonly healed: readonly HealedBlobs[];
  /** Blobs that snapshots need and nobody has. */
  readonly missingBlobs: number;
  /** Some of them by type and id. */
  readonly missing: readonly string[];
  /** What that means. After a dry run without what would be healed. */
  readonly affected: readonly AffectedSnapshot[];
  readonly unreadableSnapshots: readonly RepositoryFault[];
  /** What was wrong with the index; it is written anew. */
  readonly indexFaults: readonly RepositoryFault[];
}

/** Repairs packs under an exclusive lock (a dry run under a shared one). `usage.invalid` for a pack that is not there. */
export async function repairPacks(
  repository: Repository,
  options: PackRepairOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<PackRepairResult> {
  const dryRun = options.dryRun ?? false;
  await using lock = dryRun
    ? await lockForReading(repository, report, { signal })
    : await lockRepository(repository, { exclusive: true, waitMs: options.lockWaitMs, signal });
  await using pool = workerPoolFor(repository);
  const repair = new PackRepair({ repository, options, report, pool, signal: lock?.signal ?? signal });
  const result = await repair.run();
  // What this process knew of the repository is no longer so.
  repository.blobIndex = undefined;
  return result;
}

interface Parts {
  readonly repository: Repository;
  readonly options: PackRepairOptions;
  readonly report: Report;
  readonly pool: WorkerPool;
  readonly signal: AbortSignal | undefined;
}

class PackRepair {
  readonly #parts: Parts;
  readonly #indexFaults: RepositoryFault[] = [];
  readonly #snapshotFaults: RepositoryFault[] = [];
  /** Faults of damaged packs, by id. */
  readonly #damaged = new Map<string, string[]>();
  readonly #results: DamagedPackResult[] = [];
  #saved = { blobs: 0, bytes: 0 };

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async run(): Promise<PackRepairResult> {
    const { repository, options, report, signal } = this.#parts;
    report({ type: 'stage', stage: 'index' });
    const snapshots = await readableSnapshots(repository, (fault) => this.#snapshotFaults.push(fault), signal);
    const inventory = await takeInventory(repository, (fault) => this.#indexFaults.push(fault), signal);
    const adopted = await addUnindexed(repository, inventory, signal);
    const reader = await this.#find(inventory, snapshots);
    const stored = new BlobIndex();
    // Another view of the same repository, in which nothing is stored yet: what has to be stored counts as new.
    const target = new Repository(repository);
    target.blobIndex = Promise.resolve(stored);
    await using saver = options.dryRun ? undefined : await BlobSaver.open(target, { signal });
    const store: Store = async (type, plain) => {
      await saver?.storeBytes(type, plain);
      saver?.throwIfFailed();
    };
    const index = await this.#salvage(inventory, store);
    const healer = await this.#heal(index, snapshots, store);
    await saver?.finish();
    const work = { inventory, index, stored };
    if (saver && (this.#damaged.size > 0 || this.#indexFaults.length > 0 || adopted > 0)) await this.#replace(work);
    return {
      ...this.#resultOf(healer, reader),
      affected: await this.#affected(healer, index, snapshots),
    };
  }

  /** Reads packs; fills `#damaged`. */
  async #find(inventory: Inventory, snapshots: readonly StoredSnapshot[]): Promise<PackReader> {
    const { report } = this.#parts;
    const suspects = await this.#suspects(inventory, snapshots);
    report({ type: 'stage', stage: 'read-data', subject: `${suspects.length} packs` });
    let bytesDone = 0;
    const bytesTotal = suspects.reduce((sum, id) => sum + inventory.packSizes.get(id)!, 0);
    const reader = new PackReader({
      ...this.#parts,
      inventory,
      report: ({ kind, subject, message }) => {
        if (kind === 'blob-damaged') return;
        const id = idInName(subject)!;
        this.#damaged.set(id, [...(this.#damaged.get(id) ?? []), message]);
      },
      progress: (bytes) => {
        bytesDone += bytes;
        report({ type: 'progress', stage: 'read-data', bytesDone, bytesTotal });
      },
    });
    await reader.read(suspects);
    return reader;
  }

  async #suspects(inventory: Inventory, snapshots: readonly StoredSnapshot[]): Promise<string[]> {
    const { packs } = this.#parts.options;
    const { packSizes, index, broken } = inventory;
    if (packs === 'all') return [...packSizes.keys()];
    for (const id of packs) if (!packSizes.has(id)) throw unknownPack(id);
    const suspects = new Set([...packs, ...broken.keys()]);
    for (const id of packSizes.keys()) if (!index.hasPack(id)) suspects.add(id);
    const walk = this.#walk(index, () => {});
    await walk.reach(snapshots.map(({ tree }) => tree));
    for (let entry = 0; entry < index.size; entry++) {
      if (walk.unreadable.has(entry)) suspects.add(index.packs[index.packNumber(entry)]);
    }
    return [...suspects];
  }

  #walk(index: BlobIndex, report: (fault: RepositoryFault) => void): TreeWalk {
    this.#parts.report({ type: 'stage', stage: 'trees' });
    return new TreeWalk({ ...this.#parts, index, report });
  }

  /** Stores what opens in damaged packs and lies nowhere else; returns an index of all that can be read, where it can be read now. */
  async #salvage(inventory: Inventory, store: Store): Promise<BlobIndex> {
    if (this.#damaged.size === 0) return inventory.index;
    const { repository, report, signal } = this.#parts;
    report({ type: 'stage', stage: 'salvage', subject: `${this.#damaged.size} packs` });
    const table = new PackTable(inventory.index, inventory.duplicates);
    const numbers = new Map(inventory.index.packs.map((id, number) => [id, number]));
    const index = new BlobIndex();
    for (const [id, number] of numbers) {
      if (!this.#damaged.has(id)) addPackEntries(index, [], id, table.entries(number));
    }
    for (const [id, faults] of this.#damaged) {
      const number = numbers.get(id);
      const indexed = number === undefined ? (inventory.broken.get(id) ?? []) : table.entries(number);
      const pack = { id, sizeBytes: inventory.packSizes.get(id)!, indexed };
      let readable = 0;
      const { unopened, readError } = await salvagePack(
        repository,
        pack,
        async (entry, plain) => {
          readable++;
          if (index.has(entry.type, entry.id)) return;
          await store(entry.type, plain);
          addPackEntries(index, [], id, [entry]);
          this.#saved = { blobs: this.#saved.blobs + 1, bytes: this.#saved.bytes + plain.byteLength };
        },
        signal,
      );
      if (readError !== undefined) this.#refuseUnread(id, readError);
      this.#results.push({ id, faults, readable, unreadable: unopened.length });
    }
    return index;
  }

  /** What the storage cannot read today is given up only for packs that were named. */
  #refuseUnread(id: string, cause: unknown): void {
    const { packs, dryRun } = this.#parts.options;
    if (dryRun || packs.includes(id)) return;
    throw new HoldfastError({
      code: 'storage.io',
      message: `nothing was removed, because the storage cannot read all of pack ${id}: ${messageOf(cause)}`,
      remedy: `Copy the repository to a healthy disk (ddrescue) and repair it there, or give up what cannot be read of this pack by naming it: holdfast repo repair packs REPOSITORY ${id}`,
      cause,
    });
  }

  async #heal(index: BlobIndex, snapshots: readonly StoredSnapshot[], store: Store): Promise<Healer> {
    const { options, report, signal } = this.#parts;
    const walk = this.#walk(index, ({ kind, subject }) => {
      if (kind !== 'blob-missing' && kind !== 'tree-damaged') return;
      const [type, id] = subject.split(' ');
      healer.want(type as BlobType, fromHex(id)!);
    });
    const healer: Healer = new Healer({
      donors: options.donors ?? [],
      index,
      take: async (type, _id, plain) => await store(type, plain),
      walkBelow: async (tree) => await walk.reach([tree]),
      signal,
    });
    await walk.reach(snapshots.map(({ tree }) => tree));
    walk.release();
    if (healer.missing.size > 0 && options.donors?.length) report({ type: 'stage', stage: 'heal' });
    await healer.heal();
    return healer;
  }

  async #replace({ inventory, index, stored }: { inventory: Inventory; index: BlobIndex; stored: BlobIndex }) {
    const { repository, report, signal } = this.#parts;
    report({ type: 'stage', stage: 'index' });
    await verifyPacks(repository, stored, signal);
    const known = new Set(inventory.indexFiles.map(({ id }) => id));
    const replaced = await replaceableIndexFiles(repository, { known, fresh: stored }, signal);
    const removed = new Set(
      this.#results.filter(({ readable, unreadable }) => readable + unreadable > 0).map(({ id }) => id),
    );
    const unnamed = new Set(this.#damaged.keys());
    const kept = packsOf(inventory.index, new PackTable(inventory.index, inventory.duplicates), unnamed);
    const fresh = packsOf(stored, new PackTable(stored), new Set());
    const written = await writeIndexFiles(repository, concat(kept, fresh), signal);
    const needed = new EntrySet(index.size);
    for (let entry = 0; entry < index.size; entry++) needed.add(entry);
    await verifyIndexFiles(repository, written, { index, needed, removed: unnamed }, signal);
    throwIfCancelled(signal);
    await removeIndexFiles(
      repository,
      replaced.filter((id) => !written.includes(id)),
      signal,
    );
    report({ type: 'stage', stage: 'remove', subject: `${removed.size} packs` });
    await forEachConcurrent(removed, deletesAtOnce, (id) => repository.storage.delete(packName(id)), signal);
  }

  #resultOf(healer: Healer, reader: PackReader): Omit<PackRepairResult, 'affected'> {
    return {
      dryRun: this.#parts.options.dryRun ?? false,
      packsRead: reader.packs,
      bytesRead: reader.bytes,
      damaged: this.#results,
      savedBlobs: this.#saved.blobs,
      savedBytes: this.#saved.bytes,
      healed: healer.healed,
      missingBlobs: healer.missing.size,
      missing: [...healer.missing].slice(0, mostNamed),
      unreadableSnapshots: this.#snapshotFaults,
      indexFaults: this.#indexFaults,
    };
  }

  async #affected(healer: Healer, index: BlobIndex, snapshots: readonly StoredSnapshot[]): Promise<AffectedSnapshot[]> {
    const { repository, options, signal } = this.#parts;
    if (healer.missing.size === 0) return [];
    const now = options.dryRun ? index : await reloadIndex(repository, signal);
    const isLost = (entry: number): boolean => healer.missing.has(blobKey(now.type(entry), now.id(entry)));
    return await affectedBy({ repository, index: now, damaged: { has: isLost }, signal }, snapshots);
  }
}

type Store = (type: BlobType, plain: Uint8Array) => Promise<void>;

/** Reads the new packs back: what they replace is removed next. */
async function verifyPacks(repository: Repository, { packs }: BlobIndex, signal?: AbortSignal): Promise<void> {
  await forEachConcurrent(
    packs,
    readsAtOnce,
    async (id) => {
      if (hash('sha256', await repository.storage.get(packName(id), undefined, signal)) === id) return;
      throw new HoldfastError({
        code: 'repository.self-check',
        message: `pack ${id}, which was stored a moment ago, does not read back as it should`,
        remedy: 'Nothing was removed. Test this machine’s memory and the storage, then run it again.',
      });
    },
    signal,
  );
}

function unknownPack(id: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `there is no pack ${id}`,
    remedy: 'Give the whole id of a pack as holdfast repo check prints it, or none: all are read then.',
  });
}
