/**
 * Where every blob lies: an open-addressing hash table in typed arrays, 48 bytes a blob and 5 to 11 for its slot, so that a
 * repository of a million blobs costs 55 MB and looking up costs no allocation. Entries lie in pieces of 65,536 that are
 * never moved: growing copies nothing but slots. Keys are (type, id): restic keeps a data blob and a tree blob with equal
 * bytes apart.
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
/** Entries in a piece, as a power of two. */
const pieceBits = 16;
const inPiece = (1 << pieceBits) - 1;

/** 65,536 entries. What was not written to yet takes no memory. */
interface Piece {
  readonly ids: Uint8Array;
  /** The ids in words of this machine. */
  readonly words: Uint32Array;
  /** Four words an entry: pack number with the type in its top bit, offset, length, uncompressed length. */
  readonly facts: Uint32Array;
}

function makePiece(): Piece {
  const ids = new Uint8Array(32 << pieceBits);
  return { ids, words: new Uint32Array(ids.buffer), facts: new Uint32Array(4 << pieceBits) };
}

export class BlobIndex {
  #count = 0;
  readonly #pieces: Piece[] = [];
  /** Entry number + 1, 0 = free. Power of two, at most 3/4 full. */
  #slots = new Uint32Array(minimumSlots);
  readonly #packs: string[] = [];
  readonly #packNumbers = new Map<string, number>();
  /** Ids of the index files whose content is in it. */
  readonly files = new Set<string>();

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
    const { facts } = this.#pieces[(known - 1) >>> pieceBits];
    const at4 = ((known - 1) & inPiece) * 4;
    if ((facts[at4] & ~typeBit) !== pendingPack) return;
    facts[at4] = (place.pack | (type === 'tree' ? typeBit : 0)) >>> 0;
    facts[at4 + 1] = place.offset;
    facts[at4 + 2] = place.length;
    facts[at4 + 3] = place.uncompressedLength;
  }

  /** Where the entry lies; `undefined` for -1, which stands for an unknown blob, and while it is only claimed. */
  location(entry: number): BlobLocation | undefined {
    if (entry < 0) return undefined;
    const pack = this.packNumber(entry);
    if (pack === pendingPack) return undefined;
    return {
      pack: this.#packs[pack],
      offset: this.#fact(entry, 1),
      length: this.#fact(entry, 2),
      uncompressedLength: this.#fact(entry, 3),
    };
  }

  packNumber(entry: number): number {
    return (this.#fact(entry, 0) & ~typeBit) >>> 0;
  }

  offset(entry: number): number {
    return this.#fact(entry, 1);
  }

  storedLength(entry: number): number {
    return this.#fact(entry, 2);
  }

  uncompressedLength(entry: number): number {
    return this.#fact(entry, 3);
  }

  type(entry: number): BlobType {
    return this.#fact(entry, 0) >= typeBit ? 'tree' : 'data';
  }

  /** Bytes of the blob's plaintext. */
  plainLength(entry: number): number {
    return this.#fact(entry, 3) || Math.max(0, this.#fact(entry, 2) - 32);
  }

  /** The entry's id; a view. */
  id(entry: number): Uint8Array {
    const at = (entry & inPiece) * 32;
    return this.#pieces[entry >>> pieceBits].ids.subarray(at, at + 32);
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return this.#count * 48 + this.#slots.byteLength + this.#packs.length * 150;
  }

  #fact(entry: number, which: 0 | 1 | 2 | 3): number {
    return this.#pieces[entry >>> pieceBits].facts[(entry & inPiece) * 4 + which];
  }

  #slotOf(type: BlobType, ids: Uint8Array, at: number): number {
    const mask = this.#slots.length - 1;
    const w0 = (ids[at] | (ids[at + 1] << 8) | (ids[at + 2] << 16) | (ids[at + 3] << 24)) >>> 0;
    const w1 = (ids[at + 4] | (ids[at + 5] << 8) | (ids[at + 6] << 16) | (ids[at + 7] << 24)) >>> 0;
    for (let slot = w0 & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot];
      if (entry === 0) return slot;
      const { words } = this.#pieces[(entry - 1) >>> pieceBits];
      const word = ((entry - 1) & inPiece) * 8;
      if (words[word] === w0 && words[word + 1] === w1 && this.#same(entry - 1, type, ids, at)) return slot;
    }
  }

  #same(entry: number, type: BlobType, ids: Uint8Array, at: number): boolean {
    const own = (entry & inPiece) * 32;
    const known = this.#pieces[entry >>> pieceBits].ids;
    for (let i = 8; i < 32; i++) if (known[own + i] !== ids[at + i]) return false;
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
    const entry = this.#count++;
    if (entry >>> pieceBits === this.#pieces.length) this.#pieces.push(makePiece());
    const piece = this.#pieces[entry >>> pieceBits];
    const own = entry & inPiece;
    for (let i = 0; i < 32; i++) piece.ids[own * 32 + i] = ids[at + i];
    piece.facts[own * 4] = (pack | (type === 'tree' ? typeBit : 0)) >>> 0;
    piece.facts[own * 4 + 1] = offset;
    piece.facts[own * 4 + 2] = length;
    piece.facts[own * 4 + 3] = uncompressedLength;
    this.#slots[slot] = entry + 1;
    if (this.#count * 4 > this.#slots.length * 3) this.#growSlots();
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let entry = 0; entry < this.#count; entry++) {
      let slot = this.#pieces[entry >>> pieceBits].words[(entry & inPiece) * 8] & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = entry + 1;
    }
  }
}
