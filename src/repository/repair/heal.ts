/**
 * Fetching lost blobs from another repository that has them: opened and verified there, handed over as plaintext, sealed
 * anew by whoever takes them. A tree that comes back may name further blobs that are lost: they are looked for as well.
 *
 * Memory: about 200 bytes a lost blob, and the donor's index and fetcher (see `BlobFetcher`).
 */
import { idBytes } from '../../model/node.ts';
import type { BlobIndex, BlobType } from '../blob-index/blob-index.ts';
import { idBytesOf, loadIndex } from '../blob-index/index-files.ts';
import { decodeTree } from '../format/tree.ts';
import { BlobFetcher } from '../reading/fetch-blobs.ts';
import type { Repository } from '../repository.ts';
import { type WorkerPool, workerPoolFor } from '../worker/pool.ts';
import { blobKey, isLoss } from './salvage.ts';

/** Another repository that may hold what this one lost. */
export interface Donor {
  readonly name: string;
  readonly repository: Repository;
}

export interface HealedBlobs {
  readonly from: string;
  readonly blobs: number;
  /** Plaintext bytes. */
  readonly bytes: number;
}

interface Wanted {
  readonly type: BlobType;
  readonly id: Uint8Array;
}

export interface HealerParts {
  readonly donors: readonly Donor[];
  /** What this repository has. */
  readonly index: BlobIndex;
  /** Takes a healed blob; the plaintext is reused afterwards. */
  readonly take: (type: BlobType, id: Uint8Array, plain: Uint8Array) => Promise<void>;
  /** Has what lies below a tree of this repository walked: what is lost there comes back as `want`. */
  readonly walkBelow: (tree: string) => Promise<void>;
  readonly signal?: AbortSignal;
}

export class Healer {
  readonly healed: HealedBlobs[] = [];
  /** Keys of blobs that nobody has, see `blobKey`. */
  readonly missing = new Set<string>();
  readonly #parts: HealerParts;
  readonly #known = new Set<string>();
  #queue: Wanted[] = [];

  constructor(parts: HealerParts) {
    this.#parts = parts;
  }

  /** A blob that is needed and lost. */
  want(type: BlobType, id: Uint8Array): void {
    const key = blobKey(type, id);
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.#queue.push({ type, id: id.slice() });
    this.missing.add(key);
  }

  /** Fetches what is wanted from the donors in their order, and what turns out to be wanted on the way. */
  async heal(): Promise<void> {
    await using open = new AsyncDisposableStack();
    const donations = this.#parts.donors.map((donor) => open.use(new Donation(donor, this.#parts.signal)));
    while (this.#queue.length > 0) {
      const wanted = this.#queue;
      this.#queue = [];
      const subtrees: string[] = [];
      for (const donation of donations) {
        const left = wanted.filter(({ type, id }) => this.missing.has(blobKey(type, id)));
        await donation.give(left, (one, plain) => this.#take(one, plain, subtrees));
      }
      for (const tree of subtrees) await this.#parts.walkBelow(tree);
    }
    this.healed.push(...donations.map(({ given }) => given).filter(({ blobs }) => blobs > 0));
  }

  async #take(one: Wanted, plain: Uint8Array, subtrees: string[]): Promise<void> {
    await this.#parts.take(one.type, one.id, plain);
    this.missing.delete(blobKey(one.type, one.id));
    if (one.type !== 'tree') return;
    for (const { subtree, content = new Uint8Array() } of decodeTree(plain)) {
      for (let at = 0; at < content.byteLength; at += idBytes) {
        if (!this.#parts.index.has('data', content, at)) this.want('data', content.subarray(at, at + idBytes));
      }
      if (subtree === undefined) continue;
      if (this.#parts.index.has('tree', idBytesOf(subtree))) subtrees.push(subtree);
      else this.want('tree', idBytesOf(subtree));
    }
  }
}

/** What one donor gives. Its index is read when it is first asked. */
class Donation implements AsyncDisposable {
  readonly given: { from: string; blobs: number; bytes: number };
  readonly #donor: Donor;
  readonly #signal: AbortSignal | undefined;
  #opened: { readonly index: BlobIndex; readonly pool: WorkerPool; readonly fetcher: BlobFetcher } | undefined;

  constructor(donor: Donor, signal: AbortSignal | undefined) {
    this.#donor = donor;
    this.#signal = signal;
    this.given = { from: donor.name, blobs: 0, bytes: 0 };
  }

  /** Calls `take` for each wanted blob that this donor has and that opens there. */
  async give(wanted: readonly Wanted[], take: (one: Wanted, plain: Uint8Array) => Promise<void>): Promise<void> {
    if (wanted.length === 0) return;
    const { index, fetcher } = await this.#open();
    const byEntry = new Map<number, Wanted>();
    for (const one of wanted) {
      const entry = index.find(one.type, one.id);
      if (entry >= 0) byEntry.set(entry, one);
    }
    const deliver = async (entry: number, plain: Uint8Array): Promise<void> => {
      const one = byEntry.get(entry)!;
      byEntry.delete(entry);
      await take(one, plain);
      this.given.blobs++;
      this.given.bytes += plain.byteLength;
    };
    try {
      await fetcher.fetch([...byEntry.keys()], deliver, { signal: this.#signal });
    } catch (error) {
      if (!isLoss(error)) throw error;
      // The donor is damaged too: what opens there is taken one by one.
      for (const entry of [...byEntry.keys()]) await this.#giveAlone(entry, deliver);
    }
  }

  async #giveAlone(entry: number, deliver: (entry: number, plain: Uint8Array) => Promise<void>): Promise<void> {
    try {
      await this.#opened!.fetcher.fetch([entry], deliver, { signal: this.#signal });
    } catch (error) {
      if (!isLoss(error)) throw error;
    }
  }

  async #open() {
    if (!this.#opened) {
      const { repository } = this.#donor;
      const index = await loadIndex(repository, this.#signal);
      const pool = workerPoolFor(repository);
      this.#opened = { index, pool, fetcher: new BlobFetcher(repository, index, pool) };
    }
    return this.#opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened?.pool.close();
  }
}
