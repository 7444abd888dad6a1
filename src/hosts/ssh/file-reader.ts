/** Reads one file over SFTP from start to end, with several reads under way, so that the distance costs nothing. */
import { encodeName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { openFlags, type SftpAttributes } from '../../protocols/sftp/packets.ts';
import type { FileReader } from '../host.ts';
import { readFailure } from './failures.ts';
import type { Hole, HoleMap } from './holes.ts';

/** Bytes asked for ahead, once a file turns out to be long: a link of 1 Gbit/s is full up to 30 ms away. Also the memory bound of a reader. */
const mostAhead = 4 << 20;

interface Piece {
  readonly at: number;
  readonly length: number;
  readonly bytes: Promise<Buffer>;
}

export interface FarFileParts {
  readonly sftp: SftpClient;
  readonly path: string;
  /** Examines the file again, given what the handle says. */
  readonly describe: (now: SftpAttributes) => Promise<NodeAttributes>;
  /** Present where holes can be seen. */
  readonly holes?: (least: number) => Promise<HoleMap | undefined>;
}

export async function openFarFile(parts: FarFileParts): Promise<FileReader> {
  const handle = await parts.sftp.open(encodeName(parts.path), openFlags.read);
  return new FarFileReader(parts, handle);
}

class FarFileReader implements FileReader {
  readonly #sftp: SftpClient;
  readonly #parts: FarFileParts;
  readonly #handle: Buffer;
  #pieces: Piece[] = [];
  readonly #size: Promise<number>;
  /** Where the reader is, where the next piece begins that is asked for, and how many may be under way. */
  #position = 0;
  #asked = 0;
  #ahead = 1;
  #held: Buffer = Buffer.alloc(0);
  /** Those ahead; `undefined` until somebody wants to skip them. Nothing is asked for beyond where the first begins. */
  #holes: Hole[] | undefined;
  #state: 'open' | 'ended' | 'closed' = 'open';

  constructor(parts: FarFileParts, handle: Buffer) {
    this.#sftp = parts.sftp;
    this.#parts = parts;
    this.#handle = handle;
    // on its way together with the first piece
    this.#size = parts.sftp.fstat(handle).then((now) => Number(now.size ?? 0n));
    this.#size.catch(() => {});
    this.#ask(parts.sftp.readLength);
  }

  async read(into: Uint8Array): Promise<number> {
    // whoever reads where a hole begins does not want to skip it
    while (this.#holes?.length && this.#holes[0].start <= this.#position) this.#holes.shift();
    try {
      if (this.#held.length === 0 && !(await this.#fill())) return 0;
    } catch (error) {
      throw readFailure(this.#parts.path, error);
    }
    const limit = this.#holes?.[0] ? this.#holes[0].start - this.#position : into.length;
    const count = this.#held.copy(into, 0, 0, limit);
    this.#held = this.#held.subarray(count);
    this.#position += count;
    return count;
  }

  async skipHole(minimum: number): Promise<number> {
    try {
      this.#holes ??= await this.#findHoles(minimum);
    } catch (error) {
      throw readFailure(this.#parts.path, error);
    }
    const [hole] = this.#holes;
    if (!hole || hole.start > this.#position || hole.end - this.#position < minimum) return 0;
    const length = hole.end - this.#position;
    this.#holes.shift();
    this.#position = hole.end;
    this.#asked = hole.end;
    this.#pieces = [];
    this.#held = Buffer.alloc(0);
    return length;
  }

  async attributes(): Promise<NodeAttributes> {
    try {
      return await this.#parts.describe(await this.#sftp.fstat(this.#handle));
    } catch (error) {
      throw readFailure(this.#parts.path, error);
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    // nothing depends on the answer, which would cost a round trip for each file
    if (!this.#sftp.broken) this.#sftp.release(this.#handle).catch(() => {});
  }

  async #findHoles(minimum: number): Promise<Hole[]> {
    // most files are too short for one: they are not asked about
    if (!this.#parts.holes || (await this.#size) < minimum) return [];
    const map = await this.#parts.holes(minimum);
    const now = await this.#sftp.fstat(this.#handle);
    // another file may bear the name by now; its holes are not those of this one
    return map && BigInt(map.size) === now.size && map.mtime >>> 0 === now.mtime ? [...map.holes] : [];
  }

  /** Takes the next piece; false at the end. */
  async #fill(): Promise<boolean> {
    if (this.#state !== 'open') return false;
    await this.#askAhead();
    const piece = this.#pieces.shift()!;
    this.#held = await this.#whole(piece);
    if (this.#held.length < piece.length) this.#state = 'ended';
    return this.#held.length > 0;
  }

  /** A server may give less than was asked for. The end is where the size says, or (/proc says 0 of its files) where nothing comes. */
  async #whole({ at, length, bytes }: Piece): Promise<Buffer> {
    const size = await this.#size;
    let found = await bytes;
    while (found.length > 0 && found.length < length && at + found.length !== size) {
      const more = await this.#sftp.read(this.#handle, at + found.length, length - found.length);
      if (more.length === 0) return found;
      found = Buffer.concat([found, more]);
    }
    return found;
  }

  /** Up to the size the file has; beyond it one piece at a time, which finds the end, or what was added. */
  async #askAhead(): Promise<void> {
    const size = await this.#size;
    const { readLength } = this.#sftp;
    const bound = Math.min(size, this.#holes?.[0]?.start ?? size);
    while (this.#pieces.length < this.#ahead && this.#asked < bound) {
      this.#ask(this.#holes?.length ? Math.min(readLength, bound - this.#asked) : readLength);
    }
    if (this.#pieces.length === 0) this.#ask(readLength);
    this.#ahead = Math.min(this.#ahead * 2, Math.max(1, Math.floor(mostAhead / readLength)));
  }

  #ask(length: number): void {
    const at = this.#asked;
    const bytes = this.#sftp.read(this.#handle, at, length);
    bytes.catch(() => {}); // whoever takes the piece sees it
    this.#pieces.push({ at, length, bytes });
    this.#asked += length;
  }
}
