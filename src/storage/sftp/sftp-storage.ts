/**
 * A directory on an SSH server as storage, in restic's layout. A put goes: temporary file → write → fsync → close → name it
 * (atomic rename, or hard link when it must be new) → fsync of the folder. What fails because the connection was lost is
 * tried again on a new one; a put as a whole, with a new temporary file.
 */
import { equalBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { openFlags, statuses } from '../../protocols/sftp/packets.ts';
import { objectMissing, objectTooShort } from '../object-faults.ts';
import { checkObjectName } from '../object-name.ts';
import { defaultRetryPolicy, withRetries } from '../retry.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';
import type { Directory } from './directory.ts';
import { hasStatus, sftpFailure } from './failures.ts';
import { entriesOf, type FolderEntries } from './listing.ts';
import type { Sessions } from './sessions.ts';
import { readInto } from './transfer.ts';
import { Upload } from './upload.ts';

/** Folders listed at once. */
const listedTogether = 32;
/** Ranges up to this size are read without asking first whether the object is that long. */
const unquestionedBytes = 8 << 20;

export interface SftpStorageParts {
  readonly location: string;
  readonly directory: Directory;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

export class SftpStorage implements Storage {
  readonly location: string;
  readonly parallelPuts = 4;
  readonly #directory: Directory;
  readonly #sessions: Sessions;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #upload: Upload;

  constructor({ location, directory, sessions, clock, signal }: SftpStorageParts) {
    this.location = location;
    this.#directory = directory;
    this.#sessions = sessions;
    this.#clock = clock;
    this.#signal = signal;
    this.#upload = new Upload(directory, location);
    signal.addEventListener('abort', this.#end, { once: true });
  }

  /** Makes the directory. */
  async create(): Promise<void> {
    await this.#ask('make the directory', undefined, (sftp) => this.#directory.make(sftp, 0o700));
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    const { mustNotExist = false, signal } = options;
    const doing = `write ${name}`;
    let naming = false;
    await this.#ask(doing, signal, async (sftp) => {
      // the answer to the naming was lost: whether it happened is seen by what is there
      if (naming && mustNotExist && (await this.#holds(sftp, name, parts)))
        return await this.#upload.settle(sftp, name);
      const onNaming = (): void => {
        naming = true;
      };
      await this.#upload.put(sftp, { name, parts, mustNotExist, signal, onNaming });
    });
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return await this.#read(name, signal, async (sftp, handle) => {
      if (!range) return await this.#whole(sftp, { handle, name }, signal);
      const { offset, length } = range;
      if (length > unquestionedBytes) {
        // Before memory is taken for it: a length out of a damaged index may be anything.
        const size = Number((await sftp.fstat(handle)).size ?? 0);
        if (offset + length > size) throw objectTooShort(name, this.location, offset + length);
      }
      const into = Buffer.allocUnsafeSlow(length);
      await this.#fill(sftp, { handle, name, offset, into }, signal);
      return into;
    });
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#read(name, signal, (sftp, handle) => this.#fill(sftp, { handle, name, offset, into }, signal));
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    checkObjectName(name);
    return await this.#ask(`look at ${name}`, signal, (sftp) => this.#look(sftp, name));
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    let vanished = false;
    for (let waiting = [folder]; waiting.length > 0; ) {
      const now = waiting.splice(0, listedTogether);
      const found = await Promise.all(now.map((one) => this.#entries(one, signal)));
      vanished ||= found.includes(undefined);
      for (const entries of found) {
        if (!entries) continue;
        yield* entries.objects;
        waiting = waiting.concat(entries.folders);
      }
    }
    if (vanished) await this.#ask(`list ${folder}`, signal, (sftp) => this.#directory.assertPresent(sftp));
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    await this.#ask(`delete ${name}`, signal, async (sftp) => {
      try {
        await sftp.remove(this.#directory.resolve(name));
      } catch (error) {
        if (!hasStatus(error, statuses.noSuchFile)) throw error;
        await this.#directory.assertPresent(sftp);
      }
    });
  }

  async removeFolders(folder: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(folder);
    await this.#ask(`remove the empty folder ${folder}`, signal, async (sftp) => {
      await this.#directory.removeEmpty(sftp, folder);
      await this.#directory.removeTemporaryFolderIfAlone(sftp);
    });
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#end);
    await this.#sessions.close();
  }

  readonly #end = (): void => void this.#sessions.close();

  #entries(folder: string, signal: AbortSignal | undefined): Promise<FolderEntries | undefined> {
    const path = this.#directory.resolve(folder);
    return this.#ask(`list ${folder}`, signal, (sftp) => entriesOf(sftp, path, folder));
  }

  async #look(sftp: SftpClient, name: string): Promise<StoredObject | undefined> {
    try {
      const { size, mode } = await sftp.stat(this.#directory.resolve(name));
      return (mode ?? 0) >> 12 === 0o10 ? { name, sizeBytes: Number(size) } : undefined;
    } catch (error) {
      if (!hasStatus(error, statuses.noSuchFile)) throw error;
      await this.#directory.assertPresent(sftp);
      return undefined;
    }
  }

  async #read<T>(
    name: string,
    signal: AbortSignal | undefined,
    use: (sftp: SftpClient, handle: Buffer) => Promise<T>,
  ): Promise<T> {
    checkObjectName(name);
    return await this.#ask(`read ${name}`, signal, async (sftp) => {
      const handle = await this.#openToRead(sftp, name);
      try {
        return await use(sftp, handle);
      } finally {
        // Nobody waits for it: what it could say, the next request says, too.
        sftp.release(handle).catch(() => undefined);
      }
    });
  }

  /** Its size and its beginning are asked for at once: of most objects that is all. */
  async #whole(
    sftp: SftpClient,
    { handle, name }: { handle: Buffer; name: string },
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const [{ size }, beginning] = await Promise.all([sftp.fstat(handle), sftp.read(handle, 0, sftp.readLength)]);
    const into = Buffer.allocUnsafeSlow(Number(size ?? 0));
    const known = Math.min(beginning.byteLength, into.byteLength);
    into.set(beginning.subarray(0, known));
    await this.#fill(sftp, { handle, name, offset: known, into: into.subarray(known) }, signal);
    return into;
  }

  async #openToRead(sftp: SftpClient, name: string): Promise<Buffer> {
    try {
      return await sftp.open(this.#directory.resolve(name), openFlags.read);
    } catch (error) {
      if (!hasStatus(error, statuses.noSuchFile)) throw error;
      await this.#directory.assertPresent(sftp);
      throw objectMissing(name, this.location);
    }
  }

  async #fill(
    sftp: SftpClient,
    { handle, name, offset, into }: { handle: Buffer; name: string; offset: number; into: Uint8Array },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (await readInto(sftp, handle, { offset, into }, signal)) return;
    throw objectTooShort(name, this.location, offset + into.byteLength);
  }

  /** True if the object is there with these bytes. */
  async #holds(sftp: SftpClient, name: string, parts: readonly Uint8Array[]): Promise<boolean> {
    const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if ((await this.#look(sftp, name))?.sizeBytes !== length) return false;
    const handle = await this.#openToRead(sftp, name);
    const found = Buffer.allocUnsafeSlow(length);
    const whole = await readInto(sftp, handle, { offset: 0, into: found });
    await sftp.release(handle);
    return whole && equalParts(found, parts);
  }

  /** One operation: tried again while connections fail, its errors those of a storage. */
  async #ask<T>(doing: string, signal: AbortSignal | undefined, task: (sftp: SftpClient) => Promise<T>): Promise<T> {
    const all = signal ? AbortSignal.any([signal, this.#signal]) : this.#signal;
    // an address that never answered is more likely wrong than away
    const policy = { ...defaultRetryPolicy, ...(this.#sessions.stood ? {} : { attempts: 4 }) };
    return await withRetries(() => this.#once(doing, all, task), { clock: this.#clock, signal: all, policy });
  }

  async #once<T>(doing: string, signal: AbortSignal, task: (sftp: SftpClient) => Promise<T>): Promise<T> {
    try {
      return await this.#sessions.use(task);
    } catch (error) {
      throwIfCancelled(signal);
      throw sftpFailure(error, doing, this.location);
    }
  }
}

function equalParts(bytes: Uint8Array, parts: readonly Uint8Array[]): boolean {
  let at = 0;
  for (const part of parts) {
    if (!equalBytes(bytes.subarray(at, at + part.byteLength), part)) return false;
    at += part.byteLength;
  }
  return at === bytes.byteLength;
}
