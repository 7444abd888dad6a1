/** The blobs of one file while they are being stored: ids in order, 32 bytes each, filled in as the workers answer. */
export class ContentIds {
  #bytes = new Uint8Array(32 * 4);
  #count = 0;
  #covered = 0;
  readonly #working: Promise<void>[] = [];
  #failure: { error: unknown } | undefined;

  /** Reserves the next `count` places, which stand for `bytes` of the file, and fills them when `work` is done. */
  append(count: number, bytes: number, work: Promise<Uint8Array>): void {
    this.#covered += bytes;
    const first = this.#reserve(count);
    this.track(
      work.then((ids) => {
        this.#bytes.set(ids, first * 32);
      }),
    );
  }

  /** Appends ids that are known already and stand for `bytes` of the file, `times` over. */
  appendKnown(ids: Uint8Array, bytes: number, times = 1): void {
    this.#covered += bytes * times;
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

  /** Waits for all work, whatever its outcome. */
  async settled(): Promise<void> {
    await Promise.all(this.#working);
  }

  /** The complete list of a file of `sizeBytes`; rejects with the first failure, and if the list does not cover the file. */
  async complete(sizeBytes: number): Promise<Uint8Array> {
    await this.settled();
    this.throwIfFailed();
    if (this.#covered !== sizeBytes)
      throw new Error(`blobs of ${this.#covered} bytes stand for a file of ${sizeBytes}`);
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
