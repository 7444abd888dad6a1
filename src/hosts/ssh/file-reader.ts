/** Reads one file over SFTP from start to end, with several reads under way, so that the distance costs nothing. */
import { encodeName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { openFlags, type SftpAttributes } from '../../protocols/sftp/packets.ts';
import type { FileReader } from '../host.ts';
import { readFailure } from './failures.ts';

/** Bytes asked for ahead, once a file turns out to be long: a link of 1 Gbit/s is full up to 30 ms away. Also the memory bound of a reader. */
const mostAhead = 4 << 20;

interface Piece {
  readonly at: number;
  readonly length: number;
  readonly bytes: Promise<Buffer>;
}

/** `describe` examines the file again, given what the handle says. */
export async function openFarFile(
  sftp: SftpClient,
  path: string,
  describe: (now: SftpAttributes) => Promise<NodeAttributes>,
): Promise<FileReader> {
  const handle = await sftp.open(encodeName(path), openFlags.read);
  return new FarFileReader(sftp, path, handle, describe);
}

class FarFileReader implements FileReader {
  readonly #sftp: SftpClient;
  readonly #path: string;
  readonly #handle: Buffer;
  readonly #describe: (now: SftpAttributes) => Promise<NodeAttributes>;
  readonly #pieces: Piece[] = [];
  readonly #size: Promise<number>;
  /** Where the next piece begins that is asked for, and how many may be under way. */
  #asked = 0;
  #ahead = 1;
  #held: Buffer = Buffer.alloc(0);
  #state: 'open' | 'ended' | 'closed' = 'open';

  constructor(
    sftp: SftpClient,
    path: string,
    handle: Buffer,
    describe: (now: SftpAttributes) => Promise<NodeAttributes>,
  ) {
    this.#sftp = sftp;
    this.#path = path;
    this.#handle = handle;
    this.#describe = describe;
    // on its way together with the first piece
    this.#size = sftp.fstat(handle).then((now) => Number(now.size ?? 0n));
    this.#size.catch(() => {});
    this.#ask(sftp.readLength);
  }

  async read(into: Uint8Array): Promise<number> {
    try {
      if (this.#held.length === 0 && !(await this.#fill())) return 0;
    } catch (error) {
      throw readFailure(this.#path, error);
    }
    const count = this.#held.copy(into);
    this.#held = this.#held.subarray(count);
    return count;
  }

  async attributes(): Promise<NodeAttributes> {
    try {
      return await this.#describe(await this.#sftp.fstat(this.#handle));
    } catch (error) {
      throw readFailure(this.#path, error);
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    // nothing depends on the answer, which would cost a round trip for each file
    if (!this.#sftp.broken) this.#sftp.release(this.#handle).catch(() => {});
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
    while (this.#pieces.length === 0 || (this.#pieces.length < this.#ahead && this.#asked < size))
      this.#ask(readLength);
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
