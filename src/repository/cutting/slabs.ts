/**
 * The memory data passes through on its way into a repository. A slab is shared with the workers, so bytes are read from
 * the source straight into the place where they are cut, hashed and compressed. Their number bounds the memory of a
 * backup whatever the size of its source: when all are in use, reading waits.
 */
import { Semaphore } from '../../base/concurrency.ts';

/** New bytes a slab takes. */
export const slabBytes = 4 << 20;
/**
 * Room before them for the unfinished chunk of the slab before, so that chunks are contiguous. A longer one (one in seven)
 * is joined in a slab of its own: room for the longest before every slab would be touched sooner or later.
 */
export const tailBytes = 2 << 20;

export interface Slab {
  readonly memory: SharedArrayBuffer;
  /** The same memory. */
  readonly bytes: Buffer;
}

export class SlabPool {
  readonly #free: Slab[] = [];
  readonly #permits: Semaphore;
  readonly #bytes: number;

  constructor(count: number, bytes: number) {
    this.#permits = new Semaphore(count);
    this.#bytes = bytes;
  }

  /** Waits for a free slab; rejects with the failure's error after `fail`. */
  async acquire(): Promise<Slab> {
    await this.#permits.acquire();
    return this.#free.pop() ?? makeSlab(this.#bytes);
  }

  release(slab: Slab): void {
    this.#free.push(slab);
    this.#permits.release();
  }

  fail(error: unknown): void {
    this.#permits.fail(error);
  }
}

export function makeSlab(bytes: number): Slab {
  const memory = new SharedArrayBuffer(bytes);
  return { memory, bytes: Buffer.from(memory) };
}
