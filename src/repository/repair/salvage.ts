/**
 * Reading what still opens in damaged packs. Where a pack lies is taken from everything that says something about it: its
 * header, the index, what is left of a header that does not open. Each blob is believed only for its own seal and id.
 */
import { toHex } from '../../base/bytes.ts';
import { hasCode } from '../../base/errors.ts';
import type { BlobType } from '../blob-index/blob-index.ts';
import type { PackEntry } from '../format/pack-header.ts';
import { packName } from '../layout.ts';
import { openBlob } from '../reading/blobs.ts';
import { readPackHeader } from '../reading/pack-files.ts';
import type { Repository } from '../repository.ts';
import { guessEntries } from './torn-header.ts';

/** Packs up to this size are read in one piece. */
const wholeBytes = 64 << 20;

export interface DamagedPack {
  readonly id: string;
  readonly sizeBytes: number;
  /** What the index says of it. */
  readonly indexed: readonly PackEntry[];
}

export interface Salvage {
  /** Blobs that do not open. */
  readonly unopened: readonly PackEntry[];
  /** The error of the storage that kept some of them from being read at all: they may be readable some other day. */
  readonly readError: unknown;
}

/** Names a blob in sets: its type and id. */
export function blobKey(type: BlobType, id: Uint8Array): string {
  return `${type} ${toHex(id)}`;
}

/**
 * Calls `take` for every blob of the pack that opens, once for each. Memory: the pack, up to
 * 64 MiB, and one blob. Bytes that do not open are read a second time before they are given up.
 */
export async function salvagePack(
  repository: Repository,
  pack: DamagedPack,
  take: (entry: PackEntry, plain: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<Salvage> {
  const reader = new SalvageReader(repository, pack, signal);
  const opened = new Set<string>();
  const unopened = new Map<string, PackEntry>();
  for (const entry of await reader.candidates()) {
    const key = blobKey(entry.type, entry.id);
    if (opened.has(key)) continue;
    const plain = await reader.open(entry);
    if (plain) {
      opened.add(key);
      unopened.delete(key);
      await take(entry, plain);
    } else {
      unopened.set(key, entry);
    }
  }
  return { unopened: [...unopened.values()], readError: unopened.size > 0 ? reader.readError : undefined };
}

class SalvageReader {
  readonly #repository: Repository;
  readonly #pack: DamagedPack;
  readonly #signal: AbortSignal | undefined;
  readError: unknown;
  /** The whole pack; `undefined` if it is too large or cannot be read in one piece. */
  #bytes: Uint8Array | undefined;

  constructor(repository: Repository, pack: DamagedPack, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#pack = pack;
    this.#signal = signal;
  }

  /** Places to look at, the surest first; some may be said twice. */
  async candidates(): Promise<PackEntry[]> {
    const { id, sizeBytes, indexed } = this.#pack;
    if (sizeBytes <= wholeBytes) this.#bytes = await this.#read(0, sizeBytes);
    try {
      return [...(await readPackHeader(this.#repository, id, sizeBytes, this.#signal)), ...indexed];
    } catch (error) {
      if (!isLoss(error)) throw error;
      // Hints may be wrong about which blobs there are: only if no index knows the pack do they have to do.
      const guessed = this.#bytes && indexed.length === 0 ? guessEntries(this.#repository, this.#bytes) : [];
      return [...indexed, ...guessed];
    }
  }

  async open(entry: PackEntry): Promise<Uint8Array | undefined> {
    const { offset, length } = entry;
    if (offset + length > this.#pack.sizeBytes) return undefined;
    const stored = this.#bytes?.subarray(offset, offset + length);
    return (stored && this.#tryOpen(entry, stored)) ?? this.#tryOpen(entry, await this.#read(offset, length));
  }

  #tryOpen(entry: PackEntry, stored: Uint8Array | undefined): Uint8Array | undefined {
    if (!stored) return undefined;
    try {
      return openBlob(this.#repository, stored, entry.uncompressedLength, entry.type, entry.id);
    } catch (error) {
      if (!hasCode(error, 'repository.damaged')) throw error;
      return undefined;
    }
  }

  async #read(offset: number, length: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#repository.storage.get(packName(this.#pack.id), { offset, length }, this.#signal);
    } catch (error) {
      if (!isLoss(error)) throw error;
      if (length < this.#pack.sizeBytes) this.readError = error;
      return undefined;
    }
  }
}

/** Errors of one object, which leave others readable. */
export function isLoss(error: unknown): boolean {
  return hasCode(error, 'repository.damaged', 'storage.not-found', 'storage.io');
}
