/**
 * Repairing snapshots: from each one that needs something lost a new one is made with all that can still be read. It carries
 * the tag `repaired` and the id of the old one as `original`, as restic's does. The old one stays until the new one was
 * stored and read back, and goes only if that was asked for.
 *
 * Memory: the inventory (about 54 bytes a blob), what a backup takes, and what was rewritten.
 */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import { repairedTag, type StoredSnapshot } from '../../model/snapshot.ts';
import type { RepositoryFault } from '../check/fault.ts';
import { takeInventory } from '../inventory/inventory.ts';
import { addUnindexed } from '../inventory/usage.ts';
import { idInName } from '../layout.ts';
import { lockRepository } from '../locking/locks.ts';
import { lockForReading } from '../locking/read-lock.ts';
import { listPins, pinSnapshot } from '../records/pins.ts';
import { loadSnapshot, saveSnapshot } from '../records/snapshots.ts';
import { Repository } from '../repository.ts';
import { BlobSaver } from '../saving/blob-saver.ts';
import { deleteUnpacked } from '../sealing/unpacked.ts';
import { readableSnapshots } from './readable-snapshots.ts';
import { type Loss, repairPacksFirst, TreeRewriter } from './rewrite-trees.ts';

/** Losses named for one snapshot, and for all together; what is beyond is only counted. */
const mostLossesEach = 1000;
const mostLosses = 20_000;

export interface SnapshotRepairOptions {
  /** Full ids; all by default. `snapshot.unknown` if one is not there or cannot be read. */
  readonly snapshots?: readonly string[];
  /** Remove what was repaired, and snapshots of which nothing can be read at all. */
  readonly forget?: boolean;
  /** Say what would be done, change nothing. */
  readonly dryRun?: boolean;
  readonly lockWaitMs?: number;
}

export interface RepairedSnapshot {
  readonly snapshot: StoredSnapshot;
  /** The id of the new one; absent if there is none: nothing of the old one can be read, or it was a dry run. */
  readonly repaired?: string;
  readonly outcome: 'repaired' | 'repaired-before' | 'nothing-left';
  readonly losses: readonly Loss[];
  readonly moreLosses: number;
  readonly forgotten: boolean;
}

export interface SnapshotRepairResult {
  readonly dryRun: boolean;
  /** Snapshots looked at. */
  readonly checked: number;
  readonly snapshots: readonly RepairedSnapshot[];
  /** Files that are snapshots no more; with `forget` they are removed. */
  readonly unreadable: readonly RepositoryFault[];
}

/**
 * Repairs under a shared lock. `repository.damaged` if the index or a pack has to be repaired first: what only seems lost
 * must not be left out.
 */
export async function repairSnapshots(
  repository: Repository,
  options: SnapshotRepairOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<SnapshotRepairResult> {
  await using lock = options.dryRun
    ? await lockForReading(repository, report, { signal })
    : await lockRepository(repository, { exclusive: false, waitMs: options.lockWaitMs, signal });
  const repair = new SnapshotRepair({ repository, options, report, signal: lock?.signal ?? signal });
  return await repair.run();
}

interface Parts {
  readonly repository: Repository;
  readonly options: SnapshotRepairOptions;
  readonly report: Report;
  readonly signal: AbortSignal | undefined;
}

/** What was found out about a snapshot; nothing of it is visible yet. */
interface Draft {
  readonly snapshot: StoredSnapshot;
  /** The new root; absent if the old one cannot be read. */
  readonly tree?: string;
  readonly losses: readonly Loss[];
}

class SnapshotRepair {
  readonly #parts: Parts;
  readonly #unreadable: RepositoryFault[] = [];
  #listed = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async run(): Promise<SnapshotRepairResult> {
    const { repository, options, report, signal } = this.#parts;
    report({ type: 'stage', stage: 'index' });
    const all = await readableSnapshots(repository, (fault) => this.#unreadable.push(fault), signal);
    const chosen = options.snapshots ? options.snapshots.map((id) => found(all, id)) : all;
    const drafts = await this.#rewrite(chosen);
    const results: RepairedSnapshot[] = [];
    const pins = await listPins(repository, signal);
    for (const draft of drafts) results.push(await this.#settle(draft, { all, pins }));
    if (options.forget && !options.dryRun && !options.snapshots) await this.#removeUnreadable();
    return {
      dryRun: options.dryRun ?? false,
      checked: chosen.length,
      snapshots: results,
      unreadable: this.#unreadable,
    };
  }

  /** Only what is damaged where it lies; what the storage cannot read, or this version does not know, stays. */
  async #removeUnreadable(): Promise<void> {
    const { repository, signal } = this.#parts;
    for (const { subject } of this.#unreadable) {
      const id = idInName(subject)!;
      try {
        await loadSnapshot(repository, id, signal);
      } catch (error) {
        if (hasCode(error, 'repository.damaged')) await deleteUnpacked(repository, 'snapshots', id);
      }
    }
  }

  /** Stores all trees that have to be new; they are durable and indexed when this resolves. */
  async #rewrite(snapshots: readonly StoredSnapshot[]): Promise<Draft[]> {
    const { repository, options, report, signal } = this.#parts;
    const inventory = await takeInventory(repository, refuse, signal);
    await addUnindexed(repository, inventory, signal);
    const { index } = inventory;
    // Another view of the same repository: what lies in missing packs does not count as stored.
    const target = new Repository(repository);
    target.blobIndex = Promise.resolve(index);
    await using saver = options.dryRun ? undefined : await BlobSaver.open(target, { signal });
    const rewriter = new TreeRewriter({ repository, index, saver, signal });
    report({ type: 'stage', stage: 'trees' });
    const drafts: Draft[] = [];
    for (const [i, snapshot] of snapshots.entries()) {
      const rewritten = await rewriter.rewrite(snapshot.tree);
      if (!rewritten) drafts.push({ snapshot, losses: [{ path: '', kind: 'directory' }] });
      else if (rewritten.losses.length > 0) drafts.push({ snapshot, ...rewritten });
      saver?.throwIfFailed();
      report({ type: 'progress', stage: 'trees', bytesDone: 0, itemsDone: i + 1, itemsTotal: snapshots.length });
    }
    await saver?.finish();
    repository.blobIndex = undefined;
    return drafts;
  }

  async #settle(
    { snapshot, tree, losses }: Draft,
    { all, pins }: { all: readonly StoredSnapshot[]; pins: ReadonlySet<string> },
  ): Promise<RepairedSnapshot> {
    const { repository, options, report, signal } = this.#parts;
    const before = all.find((one) => one.original === snapshot.id && one.tree === tree);
    const outcome = tree === undefined ? 'nothing-left' : before ? 'repaired-before' : 'repaired';
    const named = Math.min(losses.length, mostLossesEach, Math.max(1, mostLosses - this.#listed));
    this.#listed += named;
    const result = { snapshot, outcome, losses: losses.slice(0, named), moreLosses: losses.length - named } as const;
    if (options.dryRun) return { ...result, repaired: before?.id, forgotten: false };
    const repaired = before?.id ?? (tree === undefined ? undefined : await this.#save(snapshot, tree));
    if (!options.forget) return { ...result, repaired, forgotten: false };
    if (repaired !== undefined && pins.has(snapshot.id)) await pinSnapshot(repository, repaired, signal);
    await deleteUnpacked(repository, 'snapshots', snapshot.id);
    report({ type: 'note', message: `snapshot ${snapshot.id.slice(0, 8)} was removed` });
    return { ...result, repaired, forgotten: true };
  }

  async #save(snapshot: StoredSnapshot, tree: string): Promise<string> {
    const { repository, signal } = this.#parts;
    const { id: original, timeMs: _, ...kept } = snapshot;
    const tags = [...(snapshot.tags ?? []).filter((tag) => tag !== repairedTag), repairedTag];
    const id = await saveSnapshot(repository, { ...kept, tree, tags, original });
    await loadSnapshot(repository, id, signal);
    return id;
  }
}

/** Missing packs are what this is about; anything else that is wrong can be put right without a loss. */
function refuse({ kind, message }: RepositoryFault): void {
  if (kind === 'pack-damaged') throw repairPacksFirst(message);
  if (kind !== 'index-damaged') return;
  throw new HoldfastError({
    code: 'repository.damaged',
    message: `no snapshot was repaired, because that would leave out what may still be readable: ${message}`,
    remedy: 'Write the index anew first: holdfast repo repair index REPOSITORY.',
  });
}

function found(snapshots: readonly StoredSnapshot[], id: string): StoredSnapshot {
  const snapshot = snapshots.find((one) => one.id === id);
  if (snapshot) return snapshot;
  throw new HoldfastError({
    code: 'snapshot.unknown',
    message: `there is no snapshot ${id} that can be read`,
    remedy: 'List what there is with: holdfast snapshots',
  });
}
