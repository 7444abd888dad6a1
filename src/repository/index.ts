/**
 * The restic repository format v2, written and read natively: the only file of this folder others see.
 *
 * Words (restic's): a *blob* is a piece of data or a tree, named by the SHA-256 of its plaintext; a *pack* is a file of
 * sealed blobs; an *index* file says which blobs lie in which packs; a *tree* is a directory; a *snapshot* names a tree.
 * Order of writes: packs, then index, then snapshot. Order of deletes: snapshots, then new index, old index, packs.
 */

export { BlobIndex, type BlobLocation, type BlobType } from './blob-index/blob-index.ts';
export { idBytesOf, loadIndex, reloadIndex } from './blob-index/index-files.ts';
export { type CheckCounts, type CheckOptions, type CheckResult, checkRepository } from './check/check.ts';
export type { AffectedSnapshot, FaultKind, RepositoryFault } from './check/fault.ts';
export { loadReadings, type Readings, saveReadings } from './check/readings.ts';
export { type CopyBlobsParts, copyBlobs } from './copying/copy-blobs.ts';
export { MissingBlobs, type MissingParts } from './copying/missing-blobs.ts';
export { chunkLimits } from './cutting/chunker.ts';
export type { ContentStream, Progress, StoredContent } from './cutting/content-stream.ts';
export { decodeTree, encodeTree } from './format/tree.ts';
export { type HoldResult, holdObjects, type SweepResult, sweepVersions } from './holding/hold.ts';
export { type RewindResult, rewindStorage } from './holding/rewind.ts';
export { type RepositoryStats, repositoryStats, type SnapshotFigures } from './inventory/stats.ts';
export { packName, packsFolder } from './layout.ts';
export { type HeldLock, listLocks, lockRepository, removeLocks, type StoredLock } from './locking/locks.ts';
export { lockForReading } from './locking/read-lock.ts';
export { forgetSnapshots } from './prune/forget.ts';
export { type PruneOptions, type PruneResult, prune } from './prune/prune.ts';
export { type PrunePlan, planPrune } from './prune/prune-plan.ts';
export { loadBlob, loadTree } from './reading/blobs.ts';
export { BlobFetcher, type Deliver } from './reading/fetch-blobs.ts';
export { listPins, pinSnapshot, unpinSnapshot } from './records/pins.ts';
export { listProofs, loadProof, saveProof } from './records/proofs.ts';
export { findSnapshot, listSnapshots, loadSnapshot, savePinnedSnapshot, saveSnapshot } from './records/snapshots.ts';
export {
  listStates,
  readState,
  type SavedState,
  type StateBeside,
  type StateRecord,
  saveState,
  stateBeside,
  stateFolder,
} from './records/state.ts';
export type { Donor, HealedBlobs } from './repair/heal.ts';
export { type RebuildOptions, type RebuildResult, rebuildIndex } from './repair/rebuild-index.ts';
export { type PackRepairOptions, type PackRepairResult, repairPacks } from './repair/repair-packs.ts';
export {
  type RepairedSnapshot,
  repairSnapshots,
  type SnapshotRepairOptions,
  type SnapshotRepairResult,
} from './repair/repair-snapshots.ts';
export type { Loss } from './repair/rewrite-trees.ts';
export { initRepository, type OpenOptions, openRepository, type Repository } from './repository.ts';
export { type Adoption, adoptPacks } from './saving/adopt.ts';
export { BlobSaver, type SaverOptions, type SaverStats } from './saving/blob-saver.ts';
export { SmallFileBatch } from './saving/small-files.ts';
export { storeByContent } from './saving/store-content.ts';
export { storePages } from './saving/store-pages.ts';
export { addKey, type KeyInfo, listKeys, removeKey, rewrapKey } from './sealing/keys.ts';
export { deleteUnpacked, listUnpacked, loadUnpacked, saveUnpacked } from './sealing/unpacked.ts';
export type { Compression } from './worker/messages.ts';
export { WorkerPool, workerPoolFor } from './worker/pool.ts';
