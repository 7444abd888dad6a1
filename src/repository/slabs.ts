/**
 * The memory data passes through on its way into a repository. A slab is shared with the workers, so bytes are read from
 * the source straight into the place where they are cut, hashed and compressed. Their number bounds the memory of a
 * backup whatever the size of its source: when all are in use, reading waits.
 */
import { Semaphore } from '../base/concurrency.ts';

/** New bytes a slab takes. */
export const slabBytes = 4 << 20;
/** Room before them for the unfinished chunk of the slab before (at most one maximal chunk) so that chunks are contiguous. */
export const tailBytes = 8 << 20;

export interface Slab {
  readonly memory: SharedArrayBuffer;
  /** The same memory as one Buffer of `tailBytes + slabBytes`. */
  readonly bytes: Buffer;
}

export class SlabPool {
  readonly #free: Slab[] = [];
  readonly #permits: Semaphore;

  constructor(count: number) {
    this.#permits = new Semaphore(count);
  }

  /** Waits for a free slab; rejects with the failure's error after `fail`. */
  async acquire(): Promise<Slab> {
    await this.#permits.acquire();
    return this.#free.pop() ?? makeSlab(tailBytes + slabBytes);
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
