/** How one object gets to the server. */
import { throwIfCancelled } from '../../base/errors.ts';
import { type SftpClient, SftpError } from '../../protocols/sftp/client.ts';
import { statuses } from '../../protocols/sftp/packets.ts';
import { objectExists } from '../object-faults.ts';
import type { Directory, Modes } from './directory.ts';
import { cannotReplace, hasStatus, readOnly, storageFull } from './failures.ts';
import { isThere, type Published, publishNew, publishOver } from './publish.ts';
import { removeQuietly, sweepTemporaries, temporaryFolder, temporaryName } from './temporary.ts';
import { writeAll } from './transfer.ts';

export interface UploadRequest {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
  readonly mustNotExist: boolean;
  readonly signal: AbortSignal | undefined;
  /** From here on the object may be there, whatever is answered. */
  readonly onNaming: () => void;
}

export class Upload {
  readonly #directory: Directory;
  readonly #place: string;
  #modes: Modes | undefined;
  #swept = false;
  /** Folders this handle has put into: those above them survive power loss. */
  readonly #settled = new Set<string>();
  /** Temporary files of connections that were lost. */
  #left: Buffer[] = [];

  constructor(directory: Directory, place: string) {
    this.#directory = directory;
    this.#place = place;
  }

  async put(sftp: SftpClient, request: UploadRequest): Promise<void> {
    const { name, mustNotExist, signal } = request;
    throwIfCancelled(signal);
    this.#modes ??= await this.#directory.modes(sftp);
    await this.#removeLeft(sftp);
    // Only saves work, and guards against servers whose rename replaces: whether the name is free is decided by the link.
    if (mustNotExist && (await isThere(sftp, this.#directory.resolve(name)))) throw objectExists(name, this.#place);
    const temporary = this.#directory.resolve(temporaryName());
    let stays = true; // also if a lost connection never told that it was made
    try {
      const handle = await this.#create(sftp, temporary, this.#modes.folder);
      await this.#store(sftp, { ...request, temporary, handle, modes: this.#modes });
      stays = mustNotExist; // a rename takes the name away, a link does not
    } catch (error) {
      throw await explained(sftp, error, this.#directory.resolve(''), request, this.#place);
    } finally {
      if (stays) await this.#removeNowOrLater(sftp, temporary);
    }
  }

  async #store(
    sftp: SftpClient,
    to: UploadRequest & { readonly temporary: Buffer; readonly handle: Buffer; readonly modes: Modes },
  ): Promise<void> {
    const { name, temporary, modes, signal } = to;
    // Round trips cost more than packets: the folder is looked for while the bytes are on their way.
    await allEnded([this.#write(sftp, to), this.#prepareFolder(sftp, to)]);
    await this.#sweep(sftp, temporary);
    throwIfCancelled(signal);
    const folder = folderOf(name);
    to.onNaming();
    const published = await this.#publish(sftp, { ...to, folder, mode: modes.folder });
    if (published === 'exists') {
      throw to.mustNotExist ? objectExists(name, this.#place) : cannotReplace(name, this.#place);
    }
    await this.settle(sftp, name);
  }

  /** Makes a name survive power loss, with the folders it is in. */
  async settle(sftp: SftpClient, name: string): Promise<void> {
    const folder = folderOf(name);
    const above = this.#settled.has(folder) ? undefined : this.#directory.flushAbove(sftp, folder);
    await allEnded([above, this.#directory.flush(sftp, this.#directory.resolve(folder))]);
    this.#settled.add(folder);
  }

  /** Makes the folder if nothing was stored in it yet and it is missing; if it goes away later, publishing makes it again. */
  async #prepareFolder(sftp: SftpClient, { name, modes }: UploadRequest & { readonly modes: Modes }): Promise<void> {
    const folder = folderOf(name);
    if (folder === '' || this.#settled.has(folder) || (await isThere(sftp, this.#directory.resolve(folder)))) return;
    await this.#directory.makeFolders(sftp, folder, modes.folder);
  }

  /** Opens a temporary file, making its folder if that is what is missing. */
  async #create(sftp: SftpClient, temporary: Buffer, folderMode: number): Promise<Buffer> {
    try {
      return await sftp.createExclusively(temporary, 0o600);
    } catch (error) {
      if (!hasStatus(error, statuses.noSuchFile)) throw error;
    }
    await this.#directory.makeFolders(sftp, temporaryFolder, folderMode);
    return await sftp.createExclusively(temporary, 0o600);
  }

  /** All bytes, mode, flushed, closed; closing must succeed, too: it is where network file systems tell of a full disk. */
  async #write(
    sftp: SftpClient,
    { handle, parts, modes, signal }: UploadRequest & { readonly handle: Buffer; readonly modes: Modes },
  ): Promise<void> {
    try {
      await writeAll(sftp, handle, parts, signal);
    } catch (error) {
      // The write's error is the one that tells.
      await sftp.release(handle).catch(() => undefined);
      throw error;
    }
    // read-only files guard against accidents; servers that have no modes work without
    const mode = sftp.fsetstat(handle, { mode: modes.file }).catch(unlessRefused);
    const flushed = sftp.offers('fsync@openssh.com') ? sftp.fsync(handle) : undefined;
    // Requests for one file are carried out in their order (draft-ietf-secsh-filexfer-02, 6.1): it is closed when it is flushed.
    await allEnded([mode, flushed, sftp.release(handle)]);
  }

  async #publish(
    sftp: SftpClient,
    to: { name: string; temporary: Buffer; mustNotExist: boolean; folder: string; mode: number },
  ): Promise<Published> {
    const final = this.#directory.resolve(to.name);
    const publish = to.mustNotExist ? publishNew : publishOver;
    try {
      return await publish(sftp, to.temporary, final);
    } catch (error) {
      if (!hasStatus(error, statuses.noSuchFile) || to.folder === '') throw error;
    }
    await this.#directory.makeFolders(sftp, to.folder, to.mode);
    return await publish(sftp, to.temporary, final);
  }

  async #sweep(sftp: SftpClient, temporary: Buffer): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    const { mtime } = await sftp.stat(temporary);
    if (mtime !== undefined) await sweepTemporaries(sftp, this.#directory.resolve(temporaryFolder), mtime);
  }

  /** Where the connection is lost, the next put removes it. What came of the put is not for this to change. */
  async #removeNowOrLater(sftp: SftpClient, temporary: Buffer): Promise<void> {
    try {
      if (!sftp.broken) return await removeQuietly(sftp, temporary);
    } catch {
      // lost meanwhile
    }
    this.#left.push(temporary);
  }

  async #removeLeft(sftp: SftpClient): Promise<void> {
    const left = this.#left;
    this.#left = [];
    try {
      await Promise.all(left.map((path) => removeQuietly(sftp, path)));
    } catch (error) {
      this.#left.push(...left);
      throw error;
    }
  }
}

/** SFTP says «failure» for all that has no status of its own; the file system tells whether it is full. */
async function explained(
  sftp: SftpClient,
  error: unknown,
  root: Buffer,
  { name, parts }: UploadRequest,
  place: string,
): Promise<unknown> {
  if (!hasStatus(error, statuses.failure) || !sftp.offers('statvfs@openssh.com')) return error;
  const { freeBytes, isOutOfFiles, isReadOnly } = await sftp.fileSystem(root);
  const needed = parts.reduce((sum, part) => sum + part.byteLength, 64 * 1024);
  if (isReadOnly) return readOnly(`write ${name}`, place, error);
  return freeBytes < needed || isOutOfFiles ? storageFull(`write ${name}`, place, error) : error;
}

/** Waits for all of them, whatever comes of one; then the first error is thrown. */
async function allEnded(tasks: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const outcome of await Promise.allSettled(tasks)) if (outcome.status === 'rejected') throw outcome.reason;
}

function folderOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}

function unlessRefused(error: unknown): void {
  if (!(error instanceof SftpError)) throw error;
}
