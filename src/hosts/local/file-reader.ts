/** Reads one local file from start to end; holes of sparse files are seen, not read. */
import { type BigIntStats, closeSync, constants, fstat, fstatSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import { openNoDatabase } from '../../base/open-databases.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { FileReader } from '../host.ts';
import type { Accounts } from './accounts.ts';
import { describeStat, readExtendedAttributes } from './attributes.ts';
import { ownDatabase, readFailure } from './failures.ts';
import { withSystemPath } from './long-paths.ts';
import type { Syscalls } from './syscalls.ts';

const readAsync = promisify(read);
const fstatAsync = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;

// O_NONBLOCK: a fifo put in the file's place must not block the backup. O_NOFOLLOW: nor may a symlink redirect it.
const safely = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Files above this are worth telling the kernel to read ahead. */
const readaheadFrom = 4 << 20;

/**
 * Without changing the access time where that is allowed (owner or root). `source.unreadable` for a database this process works
 * with: see `base/open-databases.ts`.
 */
export function openForReading(path: string): number {
  const refuse = (database: string): Error => ownDatabase(path, database);
  return withSystemPath(path, (at) => {
    try {
      return openNoDatabase(at, safely | constants.O_NOATIME, refuse);
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      return openNoDatabase(at, safely, refuse);
    }
  });
}

/** The whole file into `into`; -1 if it does not fit. One open, two reads, one close. */
export function readWholeSync(path: string, into: Uint8Array): number {
  let fd: number | undefined;
  try {
    fd = openForReading(path);
    let length = 0;
    while (length < into.length) {
      const count = readSync(fd, into, length, into.length - length, null);
      if (count === 0) return length;
      length += count;
    }
    return readSync(fd, Buffer.alloc(1), 0, 1, null) === 0 ? length : -1;
  } catch (error) {
    throw readFailure(path, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Opens a plain file; `source.unreadable` if something else stands there by now. */
export async function openReader(path: string, calls: Syscalls, accounts: Accounts): Promise<FileReader> {
  try {
    const fd = openForReading(path);
    const reader = new LocalFileReader(fd, path, calls, accounts);
    try {
      await reader.prepare();
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** A stretch without data. */
interface Hole {
  readonly start: number;
  readonly end: number;
}

type HoleCalls = Required<Pick<Syscalls, 'seekData' | 'seekHole'>>;

/** Position and holes of one open file. Not for concurrent use. */
class LocalFileReader implements FileReader {
  readonly #fd: number;
  readonly #path: string;
  readonly #calls: Syscalls;
  readonly #accounts: Accounts;
  #position = 0;
  /** Set while the file may have holes worth skipping. */
  #holes: HoleCalls | undefined;
  /** The next hole worth skipping, as far as it has been looked for; reads stop where it starts. */
  #next: Hole | undefined;
  #state: 'open' | 'closed' = 'open';

  constructor(fd: number, path: string, calls: Syscalls, accounts: Accounts) {
    this.#fd = fd;
    this.#path = path;
    this.#calls = calls;
    this.#accounts = accounts;
  }

  async prepare(): Promise<void> {
    const stat = await fstatAsync(this.#fd, { bigint: true });
    if (!stat.isFile()) {
      throw new HoldfastError({
        code: 'source.unreadable',
        message: `${printableName(this.#path)} is no longer a plain file`,
        remedy: 'It was replaced while it was examined; run the backup again.',
      });
    }
    const { seekData, seekHole } = this.#calls;
    if (stat.blocks * 512n < stat.size && seekData && seekHole) this.#holes = { seekData, seekHole };
    if (stat.size > readaheadFrom) this.#calls.adviseSequential?.(this.#fd);
  }

  async read(into: Uint8Array): Promise<number> {
    const limit = this.#next && this.#next.start > this.#position ? this.#next.start - this.#position : into.length;
    try {
      const { bytesRead } = await readAsync(this.#fd, into, 0, Math.min(limit, into.length), this.#position);
      this.#position += bytesRead;
      return bytesRead;
    } catch (error) {
      throw readFailure(this.#path, error);
    }
  }

  async skipHole(minimum: number): Promise<number> {
    this.#lookAhead(minimum);
    if (!this.#next) return 0;
    const { start, end } = this.#next;
    if (start > this.#position || end - this.#position < minimum) return 0;
    const length = end - this.#position;
    this.#position = end;
    this.#lookAhead(minimum); // so that the next read stops where the next hole starts
    return length;
  }

  async attributes(): Promise<NodeAttributes> {
    const stat = await fstatAsync(this.#fd, { bigint: true });
    const path = `/proc/self/fd/${this.#fd}`;
    const name = this.#path.slice(this.#path.lastIndexOf('/') + 1);
    const xattrs = readExtendedAttributes(this.#calls, path, true, (attribute, error) => {
      throw readFailure(`${this.#path} (attribute ${attribute})`, error);
    });
    return { ...describeStat(name, path, stat, this.#accounts), xattrs };
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    closeSync(this.#fd);
  }

  #lookAhead(minimum: number): void {
    if (!this.#holes || (this.#next && this.#next.end > this.#position)) return;
    this.#next = this.#findHole(this.#holes, minimum);
    if (!this.#next) this.#holes = undefined; // no more of that size
  }

  /** The first hole of at least `minimum` bytes that ends behind the position. Holes that turn up later are read as zeros, which is right too. */
  #findHole({ seekData, seekHole }: HoleCalls, minimum: number): Hole | undefined {
    for (let from = this.#position; ; ) {
      const start = seekHole(this.#fd, from);
      if (start < 0) return undefined;
      const data = seekData(this.#fd, start);
      const end = data < 0 ? fstatSync(this.#fd).size : data;
      if (end - start >= minimum) return { start, end };
      if (data < 0) return undefined;
      from = end;
    }
  }
}
