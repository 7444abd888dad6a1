/** The blobs of one file while they are being stored: ids in order, 32 bytes each, filled in as the workers answer. */
export class ContentIds {
  #bytes = new Uint8Array(32 * 4);
  #count = 0;
  readonly #working: Promise<void>[] = [];
  #failure: { error: unknown } | undefined;

  /** Reserves the next `count` places and fills them when `work` is done. */
  append(count: number, work: Promise<Uint8Array>): void {
    const first = this.#reserve(count);
    this.track(
      work.then((ids) => {
        this.#bytes.set(ids, first * 32);
      }),
    );
  }

  /** Appends ids that are known already, `times` over. */
  appendKnown(ids: Uint8Array, times = 1): void {
    for (let i = 0; i < times; i++) {
      const place = this.#reserve(ids.byteLength / 32) * 32; // first: reserving may replace the memory
      this.#bytes.set(ids, place);
    }
  }

  /** Waits for `work` too before the list counts as complete. */
  track(work: Promise<void>): void {
    this.#working.push(
      work.catch((error: unknown) => {
        this.#failure ??= { error };
      }),
    );
    if (this.#working.length > 1000)
      this.#working.splice(
        0,
        1000,
        Promise.all(this.#working.slice(0, 1000)).then(() => undefined),
      );
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** The complete list; rejects with the first failure. */
  async complete(): Promise<Uint8Array> {
    await Promise.all(this.#working);
    this.throwIfFailed();
    return this.#bytes.slice(0, this.#count * 32);
  }

  #reserve(count: number): number {
    const first = this.#count;
    this.#count += count;
    if (this.#count * 32 > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(this.#count * 32, Math.ceil(this.#bytes.byteLength * 1.5)));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return first;
  }
}
