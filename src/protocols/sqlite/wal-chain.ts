/**
 * The committed part of a `-wal` file as the file itself proves it: what SQLite's recovery would find (walIndexRecover in
 * wal.c; fileformat2.html §4.1–4.4). Each frame's checksum goes on from the one before, so the last commit's checksum proves
 * every byte of the frames up to it. Integers of the headers are big-endian; the words that are summed are in the byte order
 * the magic number names.
 */
import { readSync } from 'node:fs';
import { isPageSize } from './database-header.ts';
import { frameHeaderBytes, noWalPages, sortedPages, type WalPages, walHeaderBytes } from './wal.ts';

const magicLittle = 0x377f0682;
const magicBig = 0x377f0683;
const readBytes = 4 << 20;

/** What tells one generation of a WAL from every other: its sequence number, salts and checksum, with the page size. */
export interface WalGeneration {
  /** The header's 32 bytes. */
  readonly header: Buffer;
  readonly pageBytes: number;
  readonly wordsAreBig: boolean;
}

export interface RecoveredWal {
  /** Frames 1…lastFrame are committed; 0: none is. */
  readonly lastFrame: number;
  /** Pages of the database after the last commit; 0 if there is none. */
  readonly pageCount: number;
  readonly pages: WalPages;
}

/** `undefined` if these are not the first 32 bytes of a WAL, as a recovery would see it: it then ignores the whole file. */
export function parseWalGeneration(bytes: Uint8Array): WalGeneration | undefined {
  if (bytes.length < walHeaderBytes) return undefined;
  const header = Buffer.from(bytes.subarray(0, walHeaderBytes));
  const magic = header.readUInt32BE(0);
  if (magic !== magicLittle && magic !== magicBig) return undefined;
  const pageBytes = header.readUInt32BE(8);
  if (!isPageSize(pageBytes)) return undefined;
  const generation = { header, pageBytes, wordsAreBig: magic === magicBig };
  const sum = checksum(generation.wordsAreBig, header.subarray(0, 24), [0, 0]);
  return sum[0] === header.readUInt32BE(24) && sum[1] === header.readUInt32BE(28) ? generation : undefined;
}

/**
 * Walks the frames of an open WAL of that generation up to the first that is not valid and keeps what the last commit among
 * them covers. Synchronous: for a private copy. Memory: 4 MiB, and about 60 bytes a distinct page.
 */
export function recoverWal(walFile: number, generation: WalGeneration): RecoveredWal {
  const { pageBytes } = generation;
  const frameBytes = frameHeaderBytes + pageBytes;
  const buffer = Buffer.alloc(Math.max(1, Math.floor(readBytes / frameBytes)) * frameBytes);
  const walk = new FrameWalk(generation);
  for (let position = walHeaderBytes; ; ) {
    const count = Math.floor(readUpTo(walFile, buffer, position) / frameBytes);
    for (let i = 0; i < count; i++) {
      const frame = buffer.subarray(i * frameBytes, (i + 1) * frameBytes);
      if (!walk.take(frame, position + i * frameBytes + frameHeaderBytes)) return walk.recovered();
    }
    if (count * frameBytes < buffer.length) return walk.recovered();
    position += buffer.length;
  }
}

class FrameWalk {
  readonly #generation: WalGeneration;
  readonly #salts: Buffer;
  readonly #committed = new Map<number, number>();
  readonly #open = new Map<number, number>();
  #sum: Sum;
  #frames = 0;
  #lastFrame = 0;
  #pageCount = 0;

  constructor(generation: WalGeneration) {
    const { header } = generation;
    this.#generation = generation;
    this.#salts = header.subarray(16, 24);
    this.#sum = [header.readUInt32BE(24), header.readUInt32BE(28)];
  }

  /** False if the frame is not valid, and so neither is anything behind it. */
  take(frame: Buffer, contentPosition: number): boolean {
    const page = frame.readUInt32BE(0);
    if (page === 0 || !frame.subarray(8, 16).equals(this.#salts)) return false;
    const { wordsAreBig } = this.#generation;
    this.#sum = checksum(wordsAreBig, frame.subarray(0, 8), this.#sum);
    this.#sum = checksum(wordsAreBig, frame.subarray(frameHeaderBytes), this.#sum);
    if (this.#sum[0] !== frame.readUInt32BE(16) || this.#sum[1] !== frame.readUInt32BE(20)) return false;
    this.#frames++;
    this.#open.set(page, contentPosition);
    const pageCount = frame.readUInt32BE(4);
    if (pageCount !== 0) this.#commit(pageCount);
    return true;
  }

  recovered(): RecoveredWal {
    const lastFrame = this.#lastFrame;
    const pages = lastFrame === 0 ? noWalPages : sortedPages(this.#committed, this.#pageCount);
    return { lastFrame, pageCount: this.#pageCount, pages };
  }

  #commit(pageCount: number): void {
    for (const [page, position] of this.#open) this.#committed.set(page, position);
    this.#open.clear();
    this.#lastFrame = this.#frames;
    this.#pageCount = pageCount;
  }
}

type Sum = readonly [number, number];

/** SQLite's running checksum over pairs of 32-bit words. */
function checksum(wordsAreBig: boolean, bytes: Buffer, start: Sum): Sum {
  let [first, second] = start;
  if (!wordsAreBig && bytes.byteOffset % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let i = 0; i < words.length; i += 2) {
      first = (first + words[i] + second) | 0;
      second = (second + words[i + 1] + first) | 0;
    }
  } else {
    const word = (at: number): number => (wordsAreBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
    for (let at = 0; at < bytes.length; at += 8) {
      first = (first + word(at) + second) | 0;
      second = (second + word(at + 4) + first) | 0;
    }
  }
  return [first >>> 0, second >>> 0];
}

function readUpTo(file: number, into: Buffer, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = readSync(file, into, done, into.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
