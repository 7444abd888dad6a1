/** A set of numbers from 0 on, one bit each: what has been seen of an index's entries. Memory: (largest + 1) / 8 bytes. */
export class EntrySet {
  #words: Uint32Array;
  #size = 0;

  /** `capacity` is a hint. */
  constructor(capacity = 0) {
    this.#words = new Uint32Array((capacity >>> 5) + 1);
  }

  get size(): number {
    return this.#size;
  }

  has(entry: number): boolean {
    const word = entry >>> 5;
    return word < this.#words.length && (this.#words[word] & (1 << (entry & 31))) !== 0;
  }

  /** True if it was not in the set before. */
  add(entry: number): boolean {
    const word = entry >>> 5;
    if (word >= this.#words.length) this.#grow(word + 1);
    const bit = 1 << (entry & 31);
    if ((this.#words[word] & bit) !== 0) return false;
    this.#words[word] |= bit;
    this.#size++;
    return true;
  }

  #grow(least: number): void {
    const words = new Uint32Array(Math.max(least, this.#words.length * 2));
    words.set(this.#words);
    this.#words = words;
  }
}
