/**
 * Writing the index anew from what the packs themselves say: a lost or damaged index file loses nothing. New index files
 * are stored and read back before the old ones are removed. Memory: the inventory (about 54 bytes a blob).
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode, messageOf, throwIfCancelled } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import { BlobIndex } from '../blob-index/blob-index.ts';
import { faultOf, type RepositoryFault } from '../check/fault.ts';
import type { PackEntry } from '../format/pack-header.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import { addPackEntries, type Duplicate, type Inventory, takeInventory } from '../inventory/inventory.ts';
import { PackTable } from '../inventory/pack-table.ts';
import { packName } from '../layout.ts';
import { lockRepository } from '../locking/locks.ts';
import { lockForReading } from '../locking/read-lock.ts';
import { packsOf, removeIndexFiles, verifyIndexFiles, writeIndexFiles } from '../prune/rewrite-index.ts';
import { readPackHeader } from '../reading/pack-files.ts';
import type { Repository } from '../repository.ts';
import { salvagePack } from './salvage.ts';

/** Headers read at once: hides the latency of a network. */
const readsAtOnce = 8;

export interface RebuildOptions {
  /** Say what would be done, change nothing. */
  readonly dryRun?: boolean;
  readonly lockWaitMs?: number;
}

export interface RebuildResult {
  readonly dryRun: boolean;
  readonly packs: number;
  readonly blobs: number;
  /** What the index led to before: blobs in packs that are there. */
  readonly blobsBefore: number;
  readonly indexFilesBefore: number;
  readonly indexFilesAfter: number;
  /** What was wrong with the index before. */
  readonly found: readonly RepositoryFault[];
  /** Packs whose header cannot be read. What the old index says of them stays known where it opens; the files stay in any case. */
  readonly unreadable: readonly RepositoryFault[];
}

/** Rebuilds the index under an exclusive lock (a dry run under a shared one), reading every pack's header. No pack is changed or removed. */
export async function rebuildIndex(
  repository: Repository,
  options: RebuildOptions,
  report: Report,
  signal?: AbortSignal,
): Promise<RebuildResult> {
  const { dryRun = false, lockWaitMs } = options;
  await using lock = dryRun
    ? await lockForReading(repository, report, { signal })
    : await lockRepository(repository, { exclusive: true, waitMs: lockWaitMs, signal });
  return await rebuild(repository, { dryRun, report, signal: lock?.signal ?? signal });
}

async function rebuild(
  repository: Repository,
  { dryRun, report, signal }: { dryRun: boolean; report: Report; signal: AbortSignal | undefined },
): Promise<RebuildResult> {
  const found: RepositoryFault[] = [];
  const unreadable: RepositoryFault[] = [];
  report({ type: 'stage', stage: 'index' });
  const known = await takeInventory(repository, (fault) => found.push(fault), signal);
  report({ type: 'stage', stage: 'packs' });
  const index = new BlobIndex();
  const duplicates: Duplicate[] = [];
  const headers = new HeaderReader(repository, known, signal);
  const itemsTotal = known.packSizes.size;
  await forEachConcurrent(
    known.packSizes.keys(),
    readsAtOnce,
    async (id) => {
      const { entries, fault } = await headers.read(id);
      if (fault) unreadable.push(fault);
      if (entries) addPackEntries(index, duplicates, id, entries);
      report({ type: 'progress', stage: 'packs', bytesDone: 0, itemsDone: headers.done, itemsTotal });
    },
    signal,
  );
  const { length: filesBefore } = known.indexFiles;
  const filesAfter = dryRun
    ? filesBefore
    : (await replaceIndex(repository, { index, duplicates, known }, signal)).length;
  repository.blobIndex = undefined;
  const counts = { packs: index.packs.length, blobs: index.size, blobsBefore: known.index.size };
  return { dryRun, ...counts, indexFilesBefore: filesBefore, indexFilesAfter: filesAfter, found, unreadable };
}

class HeaderReader {
  done = 0;
  readonly #repository: Repository;
  readonly #known: Inventory;
  readonly #table: PackTable;
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #signal: AbortSignal | undefined;

  constructor(repository: Repository, known: Inventory, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#known = known;
    this.#table = new PackTable(known.index, known.duplicates);
    this.#numbers = new Map(known.index.packs.map((id, number) => [id, number]));
    this.#signal = signal;
  }

  /** What a pack holds: by its header, else as an index described it fully. */
  async read(id: string): Promise<{ entries?: PackEntry[]; fault?: RepositoryFault }> {
    this.done++;
    try {
      return { entries: await readPackHeader(this.#repository, id, this.#known.packSizes.get(id)!, this.#signal) };
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'storage.io', 'storage.not-found')) throw error;
      const number = this.#numbers.get(id);
      const fault = faultOf('pack-damaged', packName(id), messageOf(error));
      return { fault, entries: number === undefined ? await this.#whatOpens(id) : this.#table.entries(number) };
    }
  }

  /** A pack that no index describes fully, cut short for example: what is said of it counts where it opens. */
  async #whatOpens(id: string): Promise<PackEntry[] | undefined> {
    const pack = { id, sizeBytes: this.#known.packSizes.get(id)!, indexed: this.#known.broken.get(id) ?? [] };
    const entries: PackEntry[] = [];
    await salvagePack(this.#repository, pack, async (entry) => void entries.push(entry), this.#signal);
    return entries.length > 0 ? entries : undefined;
  }
}

async function replaceIndex(
  repository: Repository,
  { index, duplicates, known }: { index: BlobIndex; duplicates: readonly Duplicate[]; known: Inventory },
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const table = new PackTable(index, duplicates);
  const files = await writeIndexFiles(repository, packsOf(index, table, new Set()), signal);
  const needed = new EntrySet(index.size);
  for (let entry = 0; entry < index.size; entry++) needed.add(entry);
  await verifyIndexFiles(repository, files, { index, needed, removed: new Set() }, signal);
  throwIfCancelled(signal);
  const replaced = known.indexFiles.map((file) => file.id);
  await removeIndexFiles(repository, replaced, signal);
  return files;
}
