/**
 * Reads whole packs and has workers check them: the hash that is their name, their header, every blob; and compares what
 * a pack holds with what the index says. Memory: at most four packs of up to 32 MiB, or two larger ones, at a time.
 */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode, messageOf } from '../../base/errors.ts';
import { makeSlab, type Slab } from '../cutting/slabs.ts';
import type { PackEntry } from '../format/pack-header.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { PackTable } from '../inventory/pack-table.ts';
import { packName } from '../layout.ts';
import { openBlob } from '../reading/blobs.ts';
import type { Repository } from '../repository.ts';
import type { CheckPackResult, PackedBlobs } from '../worker/messages.ts';
import type { WorkerPool } from '../worker/pool.ts';
import { faultOf, type ReportFault } from './fault.ts';

const usualBytes = 32 << 20;
const usualAtOnce = 4;
const largeAtOnce = 2;

export interface PackReaderParts {
  readonly repository: Repository;
  readonly inventory: Inventory;
  readonly pool: WorkerPool;
  /** Must not throw. */
  readonly report: ReportFault;
  readonly progress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export class PackReader {
  /** Entries of the index that cannot be read from where it says. */
  readonly damaged = new EntrySet();
  packs = 0;
  bytes = 0;
  readonly #parts: PackReaderParts;
  readonly #table: PackTable;
  readonly #numbers: ReadonlyMap<string, number>;

  constructor(parts: PackReaderParts) {
    const { index, duplicates } = parts.inventory;
    this.#parts = parts;
    this.#table = new PackTable(index, duplicates);
    this.#numbers = new Map(index.packs.map((id, number) => [id, number]));
  }

  /** Reads the packs; faults are reported, a storage that fails otherwise than for single objects throws. */
  async read(packs: readonly string[]): Promise<void> {
    const { packSizes } = this.#parts.inventory;
    const sizeOf = (id: string): number => packSizes.get(id) ?? 0;
    const [usual, large] = [
      packs.filter((id) => sizeOf(id) <= usualBytes),
      packs.filter((id) => sizeOf(id) > usualBytes),
    ];
    await this.#readAll(usual, usualAtOnce, sizeOf);
    await this.#readAll(large, largeAtOnce, sizeOf);
  }

  async #readAll(packs: readonly string[], atOnce: number, sizeOf: (id: string) => number): Promise<void> {
    const largest = packs.reduce((most, id) => Math.max(most, sizeOf(id)), 0);
    const free: Slab[] = [];
    await forEachConcurrent(
      packs,
      atOnce,
      async (id) => {
        const slab = free.pop() ?? makeSlab(largest);
        await this.#readPack(id, slab, sizeOf(id));
        free.push(slab);
      },
      this.#parts.signal,
    );
  }

  async #readPack(id: string, slab: Slab, length: number): Promise<void> {
    let result: CheckPackResult;
    try {
      result = await this.#examine(id, slab, length);
      // What flipped on the way comes right the second time; what is damaged where it lies does not.
      if (result.faults.length > 0) result = await this.#examine(id, slab, length);
    } catch (error) {
      if (!hasCode(error, 'storage.not-found', 'storage.io')) throw error;
      this.#fault('pack-damaged', id, `pack ${id} cannot be read: ${messageOf(error)}`);
      for (const entry of this.#indexed(id)) this.#markDamaged(id, entry);
      return;
    }
    this.packs++;
    this.bytes += length;
    this.#judge(id, result, slab);
    this.#parts.progress?.(length);
  }

  async #examine(id: string, slab: Slab, length: number): Promise<CheckPackResult> {
    const { repository, pool, signal } = this.#parts;
    await repository.storage.getInto(packName(id), 0, slab.bytes.subarray(0, length), signal);
    return await pool.run<'check-pack'>({ kind: 'check-pack', slab: slab.memory, length, id });
  }

  #judge(id: string, result: CheckPackResult, slab: Slab): void {
    for (const fault of result.faults) this.#fault('pack-damaged', id, `pack ${id} is damaged: ${fault}`);
    const indexed = this.#indexed(id);
    const held = unpack(result.blobs);
    if (held.length === 0) {
      // Without a header the index still leads to the blobs: those that open are not lost.
      for (const entry of indexed) if (!this.#opens(entry, slab)) this.#markDamaged(id, entry);
      return;
    }
    const damaged = new Set(result.damaged);
    for (const entry of held) if (damaged.has(toHex(entry.id))) this.#markDamaged(id, entry);
    if (!this.#numbers.has(id) || sameEntries(indexed, held)) return;
    this.#fault('index-wrong', id, `the index describes pack ${id} otherwise than the pack itself`);
    for (const entry of indexed) if (!held.some((one) => sameEntry(one, entry))) this.#markDamaged(id, entry);
  }

  #opens(entry: PackEntry, slab: Slab): boolean {
    try {
      const stored = slab.bytes.subarray(entry.offset, entry.offset + entry.length);
      openBlob(this.#parts.repository, stored, entry.uncompressedLength, entry.type, entry.id);
      return true;
    } catch (error) {
      if (!hasCode(error, 'repository.damaged')) throw error;
      return false;
    }
  }

  #indexed(id: string): PackEntry[] {
    const number = this.#numbers.get(id);
    return number === undefined ? [] : this.#table.entries(number);
  }

  /** A damaged copy of a blob that the index takes from another pack harms nobody. */
  #markDamaged(pack: string, { type, id }: PackEntry): void {
    const { index } = this.#parts.inventory;
    const entry = index.find(type, id);
    if (entry < 0 || index.location(entry)?.pack !== pack || !this.damaged.add(entry)) return;
    const name = `${type} ${toHex(id)}`;
    this.#parts.report(faultOf('blob-damaged', name, `${type} blob ${toHex(id)} in pack ${pack} is lost`));
  }

  #fault(kind: 'pack-damaged' | 'index-wrong', pack: string, message: string): void {
    const isLeftover = !this.#parts.inventory.indexedPacks.has(pack);
    this.#parts.report(faultOf(isLeftover ? 'leftover-damaged' : kind, packName(pack), message));
  }
}

function unpack({ ids, facts }: PackedBlobs): PackEntry[] {
  return Array.from({ length: facts.length / 4 }, (_, i) => {
    const [offset, length, uncompressedLength, isTree] = facts.subarray(i * 4, i * 4 + 4);
    const id = ids.subarray(i * 32, i * 32 + 32);
    return { type: isTree === 1 ? 'tree' : 'data', id, offset, length, uncompressedLength };
  });
}

function sameEntries(a: readonly PackEntry[], b: readonly PackEntry[]): boolean {
  return a.length === b.length && a.every((entry, i) => sameEntry(entry, b[i]));
}

function sameEntry(a: PackEntry, b: PackEntry): boolean {
  const sameFacts = a.type === b.type && a.offset === b.offset && a.length === b.length;
  return sameFacts && a.uncompressedLength === b.uncompressedLength && equalBytes(a.id, b.id);
}
