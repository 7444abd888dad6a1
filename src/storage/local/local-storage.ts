/**
 * A directory as storage. Layout, names and modes as restic's local backend (internal/backend/local, 0.19): an object's
 * name is its path below the root.
 *
 * A put goes: temporary file beside the target → write → fsync → close → name it (rename, or link when it must be new)
 * → fsync the directory. Killed before the naming it leaves a temporary file that later puts sweep; killed between naming
 * and the last fsync it leaves a complete object, which power loss may take away again.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfCancelled } from '../../base/errors.ts';
import { objectExists, objectMissing } from '../object-faults.ts';
import { checkObjectName } from '../object-name.ts';
import type { ByteRange, PutOptions, Storage, StoredObject } from '../storage.ts';
import { isAbsent, localError, objectTooShort } from './io-errors.ts';
import { listObjects } from './listing.ts';
import { ManyFiles } from './many-files.ts';
import { publishNew } from './publish.ts';
import { makeRoot, Root, removeEmptyFolders, syncFolder } from './root.ts';
import { sweepTemporaries, temporaryName } from './temporary.ts';
import { readExactly, writeDurably } from './transfer.ts';

/** Permission bits of what is made. */
interface Modes {
  readonly file: number;
  readonly folder: number;
}

/** Opens the directory at an absolute path; makes it first if `create`. `storage.not-found` if it is missing. */
export async function openLocal(path: string, options: { readonly create: boolean }): Promise<Storage> {
  try {
    if (options.create) await makeRoot(path);
    return new LocalStorage(await Root.open(path), await modesOf(path));
  } catch (error) {
    throw localError(error, 'open the directory', path);
  }
}

/** As restic: private, or shared with the group if the repository's config file is. */
async function modesOf(path: string): Promise<Modes> {
  try {
    const { mode } = await stat(join(path, 'config'));
    return mode & 0o040 ? { file: 0o440, folder: 0o770 } : { file: 0o400, folder: 0o700 };
  } catch (error) {
    if (isAbsent(error)) return { file: 0o400, folder: 0o700 };
    throw error;
  }
}

class LocalStorage implements Storage {
  readonly location: string;
  readonly #root: Root;
  readonly #modes: Modes;
  /** Folders this handle has put into: swept, and known to survive power loss themselves. */
  readonly #settled = new Map<string, Promise<void>>();
  readonly #many = new ManyFiles();

  constructor(root: Root, modes: Modes) {
    this.location = root.path;
    this.#root = root;
    this.#modes = modes;
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(options.signal);
    try {
      await this.#root.assertPresent();
      // Only saves work: whether the name is free is decided by the link.
      if (options.mustNotExist && (await this.#look(name))) throw objectExists(name, this.location);
      await this.#store(name, parts, options);
    } catch (error) {
      throw localError(error, `write ${name}`, this.location);
    }
  }

  async get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#read(name, signal, async (file) => {
      const offset = range?.offset ?? 0;
      const { size } = await file.stat();
      const length = range?.length ?? size;
      // Before memory is taken for it: a length out of a damaged index may be anything.
      if (offset + length > size) throw objectTooShort(name, this.location, offset + length, size);
      const into = Buffer.allocUnsafeSlow(length);
      await this.#fill(file, name, offset, into, signal);
      return into;
    });
  }

  async getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#read(name, signal, (file) => this.#fill(file, name, offset, into, signal));
  }

  async getTogether(names: readonly string[], signal?: AbortSignal): Promise<readonly (Uint8Array | undefined)[]> {
    for (const name of names) checkObjectName(name);
    throwIfCancelled(signal);
    const found = await this.#many.read(names.map((name) => this.#root.resolve(name)));
    throwIfCancelled(signal);
    return found;
  }

  async stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
    checkObjectName(name);
    throwIfCancelled(signal);
    try {
      const object = await this.#look(name);
      if (!object) await this.#root.assertPresent();
      return object;
    } catch (error) {
      throw localError(error, `look at ${name}`, this.location);
    }
  }

  async *list(folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
    checkObjectName(folder);
    throwIfCancelled(signal);
    try {
      yield* listObjects(this.#root, folder, { many: this.#many, signal });
    } catch (error) {
      throw localError(error, `list ${folder}`, this.location);
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    throwIfCancelled(signal);
    try {
      await unlink(this.#root.resolve(name));
    } catch (error) {
      if (!isAbsent(error)) throw localError(error, `delete ${name}`, this.location);
      await this.#root.assertPresent();
    }
  }

  async removeFolders(folder: string, signal?: AbortSignal): Promise<void> {
    checkObjectName(folder);
    throwIfCancelled(signal);
    try {
      await removeEmptyFolders(this.#root.resolve(folder));
    } catch (error) {
      throw localError(error, `remove the empty folder ${folder}`, this.location);
    }
  }

  async close(): Promise<void> {
    await this.#many.close();
  }

  async #store(name: string, parts: readonly Uint8Array[], { mustNotExist, signal }: PutOptions): Promise<void> {
    const final = this.#root.resolve(name);
    const folder = name.slice(0, Math.max(0, name.lastIndexOf('/')));
    const temporary = join(dirname(final), temporaryName());
    const file = await this.#create(temporary, folder);
    try {
      const writtenAtMs = await writeDurably(file, parts, this.#modes.file, signal);
      await this.#settle(folder, writtenAtMs);
      throwIfCancelled(signal);
      if (!mustNotExist) await rename(temporary, final);
      else if ((await publishNew(temporary, final)) === 'exists') throw objectExists(name, this.location);
    } catch (error) {
      // What stopped the put is what the caller must hear; a file that cannot be removed now is swept later.
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    await syncFolder(dirname(final));
  }

  /** Opens a temporary file, making its folder if that is what is missing. */
  async #create(path: string, folder: string): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    try {
      return await open(path, flags, 0o600);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    this.#settled.delete(folder);
    await this.#root.makeFolder(folder, this.#modes.folder);
    return open(path, flags, 0o600);
  }

  /**
   * Once per folder and handle: sweeps it, and flushes the directories above it. The flush is needed even if this handle
   * did not make the folder: another process may have made it a moment ago and not have flushed it yet.
   */
  #settle(folder: string, nowMs: number): Promise<void> {
    const known = this.#settled.get(folder);
    if (known) return known;
    const settling = this.#settleNow(folder, nowMs).catch((error: unknown) => {
      this.#settled.delete(folder);
      throw error;
    });
    this.#settled.set(folder, settling);
    return settling;
  }

  async #settleNow(folder: string, nowMs: number): Promise<void> {
    await sweepTemporaries(this.#root.resolve(folder), nowMs);
    for (const above of this.#root.chainTo(folder).slice(0, -1)) await syncFolder(above);
  }

  async #look(name: string): Promise<StoredObject | undefined> {
    try {
      const entry = await stat(this.#root.resolve(name));
      return entry.isFile() ? { name, sizeBytes: entry.size } : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async #read<T>(name: string, signal: AbortSignal | undefined, use: (file: FileHandle) => Promise<T>): Promise<T> {
    checkObjectName(name);
    throwIfCancelled(signal);
    try {
      await using file = await open(this.#root.resolve(name), 'r');
      return await use(file);
    } catch (error) {
      if (!isAbsent(error)) throw localError(error, `read ${name}`, this.location);
    }
    await this.#root.assertPresent();
    throw objectMissing(name, this.location);
  }

  async #fill(file: FileHandle, name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
    const read = await readExactly(file, offset, into, signal);
    if (read < into.byteLength) throw objectTooShort(name, this.location, offset + into.byteLength, offset + read);
  }
}
