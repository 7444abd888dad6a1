/**
 * What is really there: every stored pack, every index file, and from both an index that holds only blobs which lie in
 * packs that exist and are as long as their blobs say. Memory: about 54 bytes a blob (see `BlobIndex`), 20 bytes more for
 * each further copy of a blob, 200 bytes a pack, one index file, and 250 bytes a blob of `broken` packs.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode, messageOf } from '../../base/errors.ts';
import { BlobIndex } from '../blob-index/blob-index.ts';
import { faultOf, type ReportFault } from '../check/fault.ts';
import { decodeIndexFile } from '../format/index-file.ts';
import type { PackEntry } from '../format/pack-header.ts';
import { idInName, packName, packsFolder, unpackedName } from '../layout.ts';
import { readPackHeader } from '../reading/pack-files.ts';
import type { Repository } from '../repository.ts';
import { sealOverhead } from '../sealing/crypto.ts';
import { listUnpacked, loadUnpacked } from '../sealing/unpacked.ts';

/** Index files decoded, or pack headers read, at once. */
const readsAtOnce = 4;

/** A further copy of a blob that the index knows from another pack. */
export interface Duplicate {
  readonly entry: number;
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

export interface Inventory {
  /** Blobs in sound packs; the first copy found of each. */
  readonly index: BlobIndex;
  readonly duplicates: Duplicate[];
  /** Every stored pack with its size, in an index or not. */
  readonly packSizes: ReadonlyMap<string, number>;
  readonly indexFiles: readonly { readonly id: string; readonly sizeBytes: number }[];
  /** Packs that an index names. */
  readonly indexedPacks: ReadonlySet<string>;
  /**
   * Packs that exist but are not as long as an index says and have no readable header, cut short for example, with all
   * that index files say lies in them: some of it may still open. They are not in `index`.
   */
  readonly broken: ReadonlyMap<string, readonly PackEntry[]>;
}

/** Bytes of a pack that holds exactly these blobs (design.rst, "Pack Format"). */
export function packSizeOf(entries: readonly PackEntry[]): number {
  let bytes = sealOverhead + 4;
  for (const entry of entries) bytes += entry.length + (entry.uncompressedLength > 0 ? 41 : 37);
  return bytes;
}

/** Every stored pack by id. A file elsewhere than a pack's place is not one and is left alone. */
export async function listPacks(repository: Repository, signal?: AbortSignal): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, sizeBytes } of repository.storage.list(packsFolder, signal)) {
    const id = idInName(name);
    if (id !== undefined && name === packName(id)) sizes.set(id, sizeBytes);
  }
  return sizes;
}

/** Takes the inventory. Faults of single files are reported, what can be read is used; a storage that fails throws. */
export async function takeInventory(
  repository: Repository,
  report: ReportFault,
  signal?: AbortSignal,
): Promise<Inventory> {
  const taker = new InventoryTaker(repository, await listPacks(repository, signal), report, signal);
  return await taker.take();
}

/** Adds packs to the index; whoever names a pack first has it. */
export function addPackEntries(
  index: BlobIndex,
  duplicates: Duplicate[],
  packId: string,
  entries: readonly PackEntry[],
): void {
  const pack = index.addPack(packId);
  for (const entry of entries) {
    const { offset, length, uncompressedLength } = entry;
    const known = index.find(entry.type, entry.id);
    if (known < 0) index.add(entry.type, entry.id, 0, { pack, offset, length, uncompressedLength });
    else duplicates.push({ entry: known, pack, offset, length, uncompressedLength });
  }
}

class InventoryTaker {
  readonly #repository: Repository;
  readonly #packSizes: Map<string, number>;
  readonly #report: ReportFault;
  readonly #signal: AbortSignal | undefined;
  readonly #index = new BlobIndex();
  readonly #duplicates: Duplicate[] = [];
  readonly #indexedPacks = new Set<string>();
  /** Packs that an index describes in a way that does not fill them, or that do not exist. */
  readonly #doubtful = new Map<string, { file: string; readonly entries: PackEntry[] }>();
  readonly #broken = new Map<string, readonly PackEntry[]>();

  constructor(
    repository: Repository,
    packSizes: Map<string, number>,
    report: ReportFault,
    signal: AbortSignal | undefined,
  ) {
    this.#repository = repository;
    this.#packSizes = packSizes;
    this.#report = report;
    this.#signal = signal;
  }

  async take(): Promise<Inventory> {
    const indexFiles: { id: string; sizeBytes: number }[] = [];
    for await (const file of listUnpacked(this.#repository, 'index', this.#signal)) indexFiles.push(file);
    await forEachConcurrent(indexFiles, readsAtOnce, ({ id }) => this.#readIndexFile(id), this.#signal);
    for (const id of this.#index.packs) this.#doubtful.delete(id);
    await forEachConcurrent(this.#doubtful, readsAtOnce, ([pack, { file }]) => this.#settle(pack, file), this.#signal);
    return {
      index: this.#index,
      duplicates: this.#duplicates,
      packSizes: this.#packSizes,
      indexFiles,
      indexedPacks: this.#indexedPacks,
      broken: this.#broken,
    };
  }

  async #readIndexFile(id: string): Promise<void> {
    try {
      const bytes = await loadUnpacked(this.#repository, 'index', id, this.#signal);
      const unlisted = new Set<string>();
      decodeIndexFile(bytes, (pack, entries) => {
        if (this.#packSizes.has(pack)) this.#addPack(id, pack, entries);
        else unlisted.add(pack);
      });
      if (unlisted.size === 0) return;
      // Packs a writer added since the listing, or missing ones.
      await this.#lookFor(unlisted);
      decodeIndexFile(bytes, (pack, entries) => {
        if (unlisted.has(pack)) this.#addPack(id, pack, entries);
      });
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'repository.unsupported', 'storage.not-found')) throw error;
      const message = `index file ${id} cannot be read: ${messageOf(error)}`;
      this.#report(faultOf('index-damaged', unpackedName('index', id), message));
    }
  }

  async #lookFor(packs: ReadonlySet<string>): Promise<void> {
    await forEachConcurrent(
      packs,
      readsAtOnce,
      async (id) => {
        const found = await this.#repository.storage.stat(packName(id), this.#signal);
        if (found) this.#packSizes.set(id, found.sizeBytes);
      },
      this.#signal,
    );
  }

  #addPack(indexFile: string, pack: string, entries: readonly PackEntry[]): void {
    this.#indexedPacks.add(pack);
    // Two index files may name a pack alike, after an interrupted prune.
    if (this.#index.hasPack(pack)) return;
    if (this.#packSizes.get(pack) === packSizeOf(entries)) {
      addPackEntries(this.#index, this.#duplicates, pack, entries);
    } else {
      this.#doubt(indexFile, pack, entries);
    }
  }

  /** Of a pack that is gone nothing but its name is kept: there may be many. */
  #doubt(file: string, pack: string, entries: readonly PackEntry[]): void {
    const doubt = this.#doubtful.get(pack) ?? { file, entries: [] };
    doubt.file = file;
    if (this.#packSizes.has(pack)) doubt.entries.push(...entries);
    this.#doubtful.set(pack, doubt);
  }

  /** A pack that no index describes fully: its own header decides. */
  async #settle(pack: string, indexFile: string): Promise<void> {
    const name = packName(pack);
    const sizeBytes = this.#packSizes.get(pack);
    if (sizeBytes === undefined) {
      this.#report(faultOf('pack-missing', name, `pack ${pack} is missing: index file ${indexFile} names it`));
      return;
    }
    try {
      const entries = await readPackHeader(this.#repository, pack, sizeBytes, this.#signal);
      addPackEntries(this.#index, this.#duplicates, pack, entries);
      const message = `index file ${indexFile} describes pack ${pack} otherwise than the pack itself`;
      this.#report(faultOf('index-wrong', unpackedName('index', indexFile), message));
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'storage.not-found')) throw error;
      this.#broken.set(pack, this.#doubtful.get(pack)!.entries);
      const message = `pack ${pack} has ${sizeBytes} bytes, which is not what index file ${indexFile} says, and ${messageOf(error)}`;
      this.#report(faultOf('pack-damaged', name, message));
    }
  }
}
