/**
 * Pruning: frees what no snapshot needs. Order: new packs → new index → old index removed → packs removed. Killed between
 * any two steps, nothing that is needed is gone. What was packed anew by then is not packed anew again: the next prune finds
 * those packs, in an index or not, keeps their copies and removes the old ones.
 *
 * Memory: the inventory (about 54 bytes a blob) and, while packs are packed anew, what a backup takes.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import { BlobIndex } from '../blob-index/blob-index.ts';
import { PackTable } from '../inventory/pack-table.ts';
import { surveyUsage, type Usage } from '../inventory/usage.ts';
import { packName } from '../layout.ts';
import { lockRepository } from '../locking/locks.ts';
import type { Repository } from '../repository.ts';
import { listUnpacked } from '../sealing/unpacked.ts';
import { workerPoolFor } from '../worker/pool.ts';
import { type PackFigures, type PruneLimits, type PrunePlan, planPrune } from './prune-plan.ts';
import { repackBlobs } from './repack.ts';
import { batchesOf } from './repack-batches.ts';
import {
  blobsPerFile,
  concat,
  packsOf,
  removeIndexFiles,
  replaceableIndexFiles,
  verifyIndexFiles,
  writeIndexFiles,
} from './rewrite-index.ts';

const deletesAtOnce = 8;

export interface PruneOptions extends PruneLimits {
  /** Say what would be done, change nothing. */
  readonly dryRun?: boolean;
  /**
   * No more is begun to be packed anew after this time; the rest is left for the next prune. Finding out what is needed
   * counts; writing the index and removing what is free already come on top.
   */
  readonly maxTimeMs?: number;
  /** How long to wait for the locks of others. */
  readonly lockWaitMs?: number;
}

export interface PruneResult {
  readonly dryRun: boolean;
  readonly packsBefore: number;
  readonly bytesBefore: number;
  readonly packsRemoved: number;
  readonly packsRepacked: number;
  /** Bytes of packs whose needed blobs were packed anew. */
  readonly repackedBytes: number;
  /** Packs that were to be packed anew and were left, because the time was up. */
  readonly packsLeft: number;
  /** Bytes free afterwards; an estimate for a dry run. */
  readonly freedBytes: number;
  /** Bytes nothing needs that stay, because moving the rest is not worth it (see `maxUnused`). */
  readonly remainingUnusedBytes: number;
  readonly usedBlobs: number;
  readonly unusedBlobs: number;
}

/** Prunes under an exclusive lock (a dry run under a shared one). Throws before it changes anything if not all that snapshots need is found. */
export async function prune(
  repository: Repository,
  options: PruneOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<PruneResult> {
  const dryRun = options.dryRun ?? false;
  const deadlineMs = repository.clock.monotonicMs() + (options.maxTimeMs ?? Number.POSITIVE_INFINITY);
  await using lock = await lockRepository(repository, { exclusive: !dryRun, waitMs: options.lockWaitMs, signal });
  const usage = await survey(repository, report, lock.signal);
  const plan = planPrune(usage.packs, options);
  let performed: Performed | undefined;
  if (!dryRun) {
    performed = await perform({ repository, usage, plan, report, signal: lock.signal, deadlineMs });
    // What this process knew of the repository is no longer so.
    repository.blobIndex = undefined;
  }
  return resultOf(usage, plan, performed);
}

async function survey(repository: Repository, report: Report, signal: AbortSignal): Promise<Usage> {
  report({ type: 'stage', stage: 'trees' });
  await using pool = workerPoolFor(repository);
  const progress = (trees: number): void => {
    if (trees % 1000 === 0) report({ type: 'progress', stage: 'trees', bytesDone: 0, itemsDone: trees });
  };
  return await surveyUsage(repository, pool, { progress, signal });
}

interface Work {
  readonly repository: Repository;
  readonly usage: Usage;
  readonly plan: PrunePlan;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** Of the monotonic clock: nothing is begun to be packed anew after it. */
  readonly deadlineMs: number;
}

interface Performed {
  /** Of the new packs. */
  readonly newIndex: BlobIndex;
  /** Packs whose needed blobs were packed anew: all of the plan, or as many as the time was enough for. */
  readonly repacked: readonly PackFigures[];
}

async function perform(work: Work): Promise<Performed> {
  const { repository, usage, plan, report, signal } = work;
  const performed = await repack(work);
  const removed = new Set([...plan.remove, ...performed.repacked, ...usage.useless].map((pack) => pack.id));
  if (removed.size > 0 || usage.indexIsWrong || isScattered(usage)) {
    report({ type: 'stage', stage: 'index' });
    await replaceIndex(work, performed.newIndex, removed);
  }
  throwIfCancelled(signal);
  report({ type: 'stage', stage: 'remove', subject: `${removed.size} packs` });
  await forEachConcurrent(removed, deletesAtOnce, (id) => repository.storage.delete(packName(id)), signal);
  return performed;
}

async function repack({ repository, usage, plan, report, signal, deadlineMs }: Work): Promise<Performed> {
  const mayGoOn = (): boolean => repository.clock.monotonicMs() < deadlineMs;
  if (plan.repack.length === 0 || !mayGoOn()) return { newIndex: new BlobIndex(), repacked: [] };
  const batches = batchesOf(usage, plan.repack);
  report({ type: 'stage', stage: 'repack', subject: `${plan.repack.length} packs` });
  let bytesDone = 0;
  const progress = (bytes: number): void => {
    bytesDone += bytes;
    report({ type: 'progress', stage: 'repack', bytesDone, bytesTotal: batches.bytes });
  };
  const parts = { repository, index: usage.inventory.index, progress, signal };
  const done = await repackBlobs(parts, batches.entries(), mayGoOn);
  return { newIndex: done.stored, repacked: batches.packs.slice(0, done.batches).flat() };
}

async function replaceIndex(work: Work, newIndex: BlobIndex, removed: ReadonlySet<string>): Promise<void> {
  const { repository, usage, signal } = work;
  const { inventory, used } = usage;
  const known = new Set(inventory.indexFiles.map((file) => file.id));
  const replaced = await replaceableIndexFiles(repository, { known, fresh: newIndex }, signal);
  const kept = packsOf(inventory.index, new PackTable(inventory.index, inventory.duplicates), removed);
  const fresh = packsOf(newIndex, new PackTable(newIndex), new Set());
  const written = await writeIndexFiles(repository, concat(kept, fresh), signal);
  await verifyIndexFiles(repository, written, { index: inventory.index, needed: used, removed }, signal);
  await refuseNewSnapshots(repository, usage, signal);
  throwIfCancelled(signal);
  await removeIndexFiles(repository, replaced, signal);
}

/** A snapshot that appeared in spite of the lock may need what would be removed. */
async function refuseNewSnapshots(repository: Repository, usage: Usage, signal: AbortSignal): Promise<void> {
  for await (const { id } of listUnpacked(repository, 'snapshots', signal)) {
    if (usage.snapshotIds.has(id)) continue;
    throw new HoldfastError({
      code: 'repository.lock-lost',
      message: `snapshot ${id} appeared while ${repository.storage.location} was being pruned, in spite of the lock`,
      remedy: 'Nothing was removed. Find the program that ignores locks or removed this one, then prune again.',
    });
  }
}

/** Every backup adds an index file; many small ones make every start slow. */
function isScattered({ inventory }: Usage): boolean {
  const { indexFiles, index } = inventory;
  return indexFiles.length > 4 + 2 * Math.ceil(index.size / blobsPerFile);
}

function resultOf(usage: Usage, plan: PrunePlan, performed: Performed | undefined): PruneResult {
  const { inventory, used, useless } = usage;
  const sum = (packs: readonly { sizeBytes: number }[]): number =>
    packs.reduce((total, one) => total + one.sizeBytes, 0);
  const repacked = performed?.repacked ?? plan.repack;
  const repackedBytes = sum(repacked);
  const freed = performed ? sum(plan.remove) + repackedBytes - storedBytes(performed.newIndex) : plan.freedBytes;
  const left = plan.repack.slice(repacked.length);
  return {
    dryRun: performed === undefined,
    packsBefore: inventory.packSizes.size,
    bytesBefore: inventory.packSizes.values().reduce((total, size) => total + size, 0),
    packsRemoved: plan.remove.length + useless.length,
    packsRepacked: repacked.length,
    repackedBytes,
    packsLeft: left.length,
    freedBytes: freed + sum(useless),
    remainingUnusedBytes: plan.remainingUnusedBytes + left.reduce((total, pack) => total + pack.unusedBytes, 0),
    usedBlobs: used.size,
    unusedBlobs: inventory.index.size - used.size,
  };
}

function storedBytes(index: BlobIndex): number {
  let bytes = 0;
  for (let entry = 0; entry < index.size; entry++) bytes += index.storedLength(entry);
  return bytes;
}
