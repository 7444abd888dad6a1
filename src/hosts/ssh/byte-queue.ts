/** What arrived and was not read yet. Whoever fills it stops at `full` and goes on when `onRoom` is called. */
export class ByteQueue {
  readonly #bound: number;
  readonly #onRoom: () => void;
  #chunks: Buffer[] = [];
  #length = 0;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  #drained: (() => void)[] = [];

  constructor(boundBytes: number, onRoom: () => void) {
    this.#bound = boundBytes;
    this.#onRoom = onRoom;
  }

  get full(): boolean {
    return this.#length >= this.#bound;
  }

  push(chunk: Buffer): void {
    if (this.#end || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    this.#wake?.();
  }

  /** No more comes; with an error, reading ends with it. The first call counts. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
    this.#settle();
  }

  /** Drops what was not read; reading ends with the error. */
  discard(error: unknown): void {
    this.#chunks = [];
    this.#length = 0;
    this.#end = { error };
    this.#wake?.();
    this.#settle();
  }

  /** The next chunk; `undefined` at the end. One reader at a time. */
  async next(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0 && !this.#end) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const chunk = this.#chunks.shift();
    if (!chunk) {
      if (this.#end?.error !== undefined) throw this.#end.error;
      return undefined;
    }
    const wasFull = this.full;
    this.#length -= chunk.length;
    if (wasFull && !this.full) this.#onRoom();
    this.#settle();
    return chunk;
  }

  /** Resolves when the end has come and all before it was read, or dropped. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      this.#settle();
    });
  }

  #settle(): void {
    if (!this.#end || this.#chunks.length > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }
}
