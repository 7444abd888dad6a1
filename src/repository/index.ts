/**
 * The restic repository format v2, written and read natively: the only file of this folder others see.
 *
 * Words (restic's): a *blob* is a piece of data or a tree, named by the SHA-256 of its plaintext; a *pack* is a file of
 * sealed blobs; an *index* file says which blobs lie in which packs; a *tree* is a directory; a *snapshot* names a tree.
 * Order of writes: packs, then index, then snapshot. Order of deletes: snapshots, then new index, old index, packs.
 */
export { type Adoption, adoptPacks } from './adopt.ts';
export { BlobIndex, type BlobLocation, type BlobType } from './blob-index.ts';
export { BlobSaver, type SaverOptions, type SaverStats } from './blob-saver.ts';
export { loadBlob, loadTree } from './blobs.ts';
export { type CheckCounts, type CheckOptions, type CheckResult, checkRepository } from './check.ts';
export { chunkLimits } from './chunker.ts';
export type { ContentStream, Progress, StoredContent } from './content-stream.ts';
export { type CopyBlobsParts, copyBlobs } from './copying/copy-blobs.ts';
export { MissingBlobs, type MissingParts } from './copying/missing-blobs.ts';
export { BlobFetcher, type Deliver } from './fetch-blobs.ts';
export { forgetSnapshots } from './forget.ts';
export { decodeTree, encodeTree } from './format/tree.ts';
export { type HoldResult, holdObjects, type SweepResult, sweepVersions } from './hold.ts';
export { idBytesOf, loadIndex, reloadIndex } from './index-files.ts';
export { addKey, type KeyInfo, listKeys, removeKey, rewrapKey } from './keys.ts';
export { packName, packsFolder } from './layout.ts';
export { type HeldLock, listLocks, lockRepository, removeLocks, type StoredLock } from './locks.ts';
export { listPins, pinSnapshot, unpinSnapshot } from './pins.ts';
export { listProofs, loadProof, saveProof } from './proofs.ts';
export { type PruneOptions, type PruneResult, prune } from './prune.ts';
export { lockForReading } from './read-lock.ts';
export { loadReadings, type Readings, saveReadings } from './readings.ts';
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
export { type RewindResult, rewindStorage } from './rewind.ts';
export { SmallFileBatch } from './small-files.ts';
export { findSnapshot, listSnapshots, loadSnapshot, savePinnedSnapshot, saveSnapshot } from './snapshots.ts';
export {
  listStates,
  readState,
  type SavedState,
  type StateBeside,
  type StateRecord,
  saveState,
  stateBeside,
  stateFolder,
} from './state.ts';
export { type RepositoryStats, repositoryStats, type SnapshotFigures } from './stats.ts';
export { storeByContent } from './store-content.ts';
export { storePages } from './store-pages.ts';
export { deleteUnpacked, listUnpacked, loadUnpacked, saveUnpacked } from './unpacked.ts';
export type { AffectedSnapshot, FaultKind, RepositoryFault } from './upkeep/fault.ts';
export { type PrunePlan, planPrune } from './upkeep/prune-plan.ts';
export type { Compression } from './worker/messages.ts';
export { WorkerPool, workerPoolFor } from './worker/pool.ts';
