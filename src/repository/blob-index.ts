/**
 * Where every blob lies: an open-addressing hash table in typed arrays, about 60 bytes a blob, so that a repository of
 * a million blobs costs 60 MB and looking up costs no allocation. Keys are (type, id): restic keeps a data blob and a
 * tree blob with equal bytes apart.
 */
export type BlobType = 'data' | 'tree';

export interface BlobLocation {
  /** Pack id in hex. */
  readonly pack: string;
  readonly offset: number;
  /** Stored bytes, sealing included. */
  readonly length: number;
  /** Plaintext bytes if stored compressed, else 0. */
  readonly uncompressedLength: number;
}

/** A pack number that stands for «claimed, being stored now». */
const pendingPack = 0x7fffffff;
const typeBit = 0x80000000;
const minimumSlots = 1024;

export class BlobIndex {
  #count = 0;
  #capacity = 512;
  #ids = new Uint8Array(this.#capacity * 32);
  #words = new Uint32Array(this.#ids.buffer);
  /** Four words an entry: pack number with the type in its top bit, offset, length, uncompressed length. */
  #facts = new Uint32Array(this.#capacity * 4);
  /** Entry number + 1, 0 = free. Power of two, at most 2/3 full. */
  #slots = new Uint32Array(minimumSlots);
  readonly #packs: string[] = [];
  readonly #packNumbers = new Map<string, number>();

  /** Number of distinct blobs. */
  get size(): number {
    return this.#count;
  }

  /** Packs in the order they were first named. */
  get packs(): readonly string[] {
    return this.#packs;
  }

  hasPack(id: string): boolean {
    return this.#packNumbers.has(id);
  }

  /** Makes a pack known even if all its blobs are known from elsewhere. */
  addPack(id: string): number {
    let number = this.#packNumbers.get(id);
    if (number === undefined) {
      number = this.#packs.push(id) - 1;
      this.#packNumbers.set(id, number);
    }
    return number;
  }

  /** Entry number of the blob whose 32-byte id stands at `at` in `ids`; -1 if unknown. Stable until the process ends. */
  find(type: BlobType, ids: Uint8Array, at = 0): number {
    const entry = this.#slots[this.#slotOf(type, ids, at)];
    return entry - 1;
  }

  /** True if stored, or claimed by this process and being stored. */
  has(type: BlobType, ids: Uint8Array, at = 0): boolean {
    return this.find(type, ids, at) >= 0;
  }

  /** Claims an unknown blob for storing; false if it is known or claimed already. */
  claim(type: BlobType, ids: Uint8Array, at = 0): boolean {
    const slot = this.#slotOf(type, ids, at);
    if (this.#slots[slot] !== 0) return false;
    this.#insert(slot, type, ids, at, pendingPack, 0, 0, 0);
    return true;
  }

  /** Records where a blob lies. The first place wins; a claim is fulfilled. */
  add(
    type: BlobType,
    ids: Uint8Array,
    at: number,
    place: { pack: number; offset: number; length: number; uncompressedLength: number },
  ): void {
    const slot = this.#slotOf(type, ids, at);
    const known = this.#slots[slot];
    if (known === 0) {
      this.#insert(slot, type, ids, at, place.pack, place.offset, place.length, place.uncompressedLength);
      return;
    }
    const facts = (known - 1) * 4;
    if ((this.#facts[facts] & ~typeBit) !== pendingPack) return;
    this.#facts[facts] = (place.pack | (type === 'tree' ? typeBit : 0)) >>> 0;
    this.#facts[facts + 1] = place.offset;
    this.#facts[facts + 2] = place.length;
    this.#facts[facts + 3] = place.uncompressedLength;
  }

  /** Where the entry lies; `undefined` for -1, which stands for an unknown blob, and while it is only claimed. */
  location(entry: number): BlobLocation | undefined {
    if (entry < 0) return undefined;
    const pack = this.packNumber(entry);
    if (pack === pendingPack) return undefined;
    return {
      pack: this.#packs[pack],
      offset: this.#facts[entry * 4 + 1],
      length: this.#facts[entry * 4 + 2],
      uncompressedLength: this.#facts[entry * 4 + 3],
    };
  }

  packNumber(entry: number): number {
    return (this.#facts[entry * 4] & ~typeBit) >>> 0;
  }

  offset(entry: number): number {
    return this.#facts[entry * 4 + 1];
  }

  storedLength(entry: number): number {
    return this.#facts[entry * 4 + 2];
  }

  uncompressedLength(entry: number): number {
    return this.#facts[entry * 4 + 3];
  }

  type(entry: number): BlobType {
    return this.#facts[entry * 4] >= typeBit ? 'tree' : 'data';
  }

  /** Bytes of the blob's plaintext. */
  plainLength(entry: number): number {
    return this.#facts[entry * 4 + 3] || Math.max(0, this.#facts[entry * 4 + 2] - 32);
  }

  /** The entry's id; a view, valid until the next insertion. */
  id(entry: number): Uint8Array {
    return this.#ids.subarray(entry * 32, entry * 32 + 32);
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return this.#ids.byteLength + this.#facts.byteLength + this.#slots.byteLength + this.#packs.length * 150;
  }

  #slotOf(type: BlobType, ids: Uint8Array, at: number): number {
    const mask = this.#slots.length - 1;
    const w0 = (ids[at] | (ids[at + 1] << 8) | (ids[at + 2] << 16) | (ids[at + 3] << 24)) >>> 0;
    const w1 = (ids[at + 4] | (ids[at + 5] << 8) | (ids[at + 6] << 16) | (ids[at + 7] << 24)) >>> 0;
    for (let slot = w0 & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot];
      if (entry === 0) return slot;
      const words = (entry - 1) * 8;
      if (this.#words[words] === w0 && this.#words[words + 1] === w1 && this.#same(entry - 1, type, ids, at))
        return slot;
    }
  }

  #same(entry: number, type: BlobType, ids: Uint8Array, at: number): boolean {
    const own = entry * 32;
    for (let i = 8; i < 32; i++) if (this.#ids[own + i] !== ids[at + i]) return false;
    return this.type(entry) === type;
  }

  #insert(
    slot: number,
    type: BlobType,
    ids: Uint8Array,
    at: number,
    pack: number,
    offset: number,
    length: number,
    uncompressedLength: number,
  ): void {
    if (this.#count === this.#capacity) this.#growEntries();
    const entry = this.#count++;
    for (let i = 0; i < 32; i++) this.#ids[entry * 32 + i] = ids[at + i];
    this.#facts[entry * 4] = (pack | (type === 'tree' ? typeBit : 0)) >>> 0;
    this.#facts[entry * 4 + 1] = offset;
    this.#facts[entry * 4 + 2] = length;
    this.#facts[entry * 4 + 3] = uncompressedLength;
    this.#slots[slot] = entry + 1;
    if (this.#count * 3 > this.#slots.length * 2) this.#growSlots();
  }

  #growEntries(): void {
    this.#capacity = Math.ceil(this.#capacity * 1.5);
    const ids = new Uint8Array(this.#capacity * 32);
    ids.set(this.#ids);
    this.#ids = ids;
    this.#words = new Uint32Array(ids.buffer);
    const facts = new Uint32Array(this.#capacity * 4);
    facts.set(this.#facts);
    this.#facts = facts;
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let entry = 0; entry < this.#count; entry++) {
      let slot = this.#words[entry * 8] & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = entry + 1;
    }
  }
}
