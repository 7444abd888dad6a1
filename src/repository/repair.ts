/**
 * Writing the index anew from what the packs themselves say: a lost or damaged index file loses nothing. New index files
 * are stored and read back before the old ones are removed. Memory: the inventory (about 60 bytes a blob).
 */
import { forEachConcurrent } from '../base/concurrency.ts';
import { hasCode, messageOf, throwIfCancelled } from '../base/errors.ts';
import type { Report } from '../model/run.ts';
import { BlobIndex } from './blob-index.ts';
import type { PackEntry } from './format/pack-header.ts';
import { packName } from './layout.ts';
import { lockRepository } from './locks.ts';
import { readPackHeader } from './pack-files.ts';
import type { Repository } from './repository.ts';
import { EntrySet } from './upkeep/entry-set.ts';
import { faultOf, type RepositoryFault } from './upkeep/fault.ts';
import { addPackEntries, type Duplicate, type Inventory, takeInventory } from './upkeep/inventory.ts';
import { PackTable } from './upkeep/pack-table.ts';
import { removeIndexFiles, verifyIndexFiles, writeIndexFiles } from './upkeep/rewrite-index.ts';

/** Headers read at once: hides the latency of a network. */
const readsAtOnce = 8;

export interface RebuildResult {
  readonly packs: number;
  readonly blobs: number;
  readonly indexFilesBefore: number;
  readonly indexFilesAfter: number;
  /** What was wrong with the index before. */
  readonly found: readonly RepositoryFault[];
  /** Packs whose header cannot be read. If an index described one fully, its blobs stay known; the files stay in any case. */
  readonly unreadable: readonly RepositoryFault[];
}

/** Rebuilds the index under an exclusive lock, reading every pack's header. No pack is changed or removed. */
export async function rebuildIndex(
  repository: Repository,
  report: Report,
  signal?: AbortSignal,
  lockWaitMs = 0,
): Promise<RebuildResult> {
  await using lock = await lockRepository(repository, { exclusive: true, waitMs: lockWaitMs, signal });
  const found: RepositoryFault[] = [];
  const unreadable: RepositoryFault[] = [];
  report({ type: 'stage', stage: 'index' });
  const known = await takeInventory(repository, (fault) => found.push(fault), lock.signal);
  report({ type: 'stage', stage: 'packs' });
  const index = new BlobIndex();
  const duplicates: Duplicate[] = [];
  const headers = new HeaderReader(repository, known, lock.signal);
  await forEachConcurrent(
    known.packSizes.keys(),
    readsAtOnce,
    async (id) => {
      const { entries, fault } = await headers.read(id);
      if (fault) unreadable.push(fault);
      if (entries) addPackEntries(index, duplicates, id, entries);
      report({
        type: 'progress',
        stage: 'packs',
        bytesDone: 0,
        itemsDone: headers.done,
        itemsTotal: known.packSizes.size,
      });
    },
    lock.signal,
  );
  const files = await replaceIndex(repository, { index, duplicates, known }, lock.signal);
  repository.blobIndex = undefined;
  return {
    packs: index.packs.length,
    blobs: index.size,
    indexFilesBefore: known.indexFiles.length,
    indexFilesAfter: files.length,
    found,
    unreadable,
  };
}

class HeaderReader {
  done = 0;
  readonly #repository: Repository;
  readonly #known: Inventory;
  readonly #table: PackTable;
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #signal: AbortSignal;

  constructor(repository: Repository, known: Inventory, signal: AbortSignal) {
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
      return number === undefined ? { fault } : { fault, entries: this.#table.entries(number) };
    }
  }
}

async function replaceIndex(
  repository: Repository,
  { index, duplicates, known }: { index: BlobIndex; duplicates: readonly Duplicate[]; known: Inventory },
  signal: AbortSignal,
): Promise<string[]> {
  const table = new PackTable(index, duplicates);
  const packs = index.packs.values().map((id, number) => ({ id, entries: table.entries(number) }));
  const files = await writeIndexFiles(repository, packs, signal);
  const needed = new EntrySet(index.size);
  for (let entry = 0; entry < index.size; entry++) needed.add(entry);
  await verifyIndexFiles(repository, files, { index, needed, removed: new Set() }, signal);
  throwIfCancelled(signal);
  const replaced = known.indexFiles.map((file) => file.id);
  await removeIndexFiles(repository, replaced, signal);
  return files;
}
