/** The repository's directory on the server: paths, folders that are made, and whether it is (still) there. */
import { type SftpClient, SftpError } from '../../protocols/sftp/client.ts';
import { openFlags } from '../../protocols/sftp/packets.ts';
import { directoryAway } from './failures.ts';
import { entriesOf } from './listing.ts';
import { isThere } from './publish.ts';
import { isFolder, makeFolder, temporaryFolder } from './temporary.ts';

/** Permission bits of what is made. */
export interface Modes {
  readonly file: number;
  readonly folder: number;
}

export class Directory {
  readonly #path: string;
  readonly #place: string;
  /** A repository was seen here: from then on a directory without one is another one. */
  #hadConfig = false;
  #flushesFolders = true;

  constructor(path: string, place: string) {
    this.#path = path;
    this.#place = place;
  }

  /** The path of an object or folder; '' is the directory itself. */
  resolve(name: string): Buffer {
    if (name === '') return Buffer.from(this.#path);
    return Buffer.from(this.#path.endsWith('/') ? `${this.#path}${name}` : `${this.#path}/${name}`);
  }

  /** As restic: private, or shared with the group if the repository's config is. */
  async modes(sftp: SftpClient): Promise<Modes> {
    const config = this.resolve('config');
    const mode = (await isThere(sftp, config)) ? ((await sftp.stat(config)).mode ?? 0) : undefined;
    this.#hadConfig ||= mode !== undefined;
    return mode !== undefined && mode & 0o040 ? { file: 0o440, folder: 0o770 } : { file: 0o400, folder: 0o700 };
  }

  /**
   * Throws `storage.not-found` if the directory is gone, or lost the repository it held: its disk was unmounted, and what
   * is there now is the empty mount point.
   */
  async assertPresent(sftp: SftpClient): Promise<void> {
    if (!(await isFolder(sftp, this.resolve('')))) throw directoryAway(this.#place, 'does not exist');
    if (this.#hadConfig && !(await isThere(sftp, this.resolve('config')))) {
      throw directoryAway(this.#place, 'has lost the repository that was in it');
    }
  }

  /** Makes the directory of a new repository with its parents. An existing one is fine. */
  async make(sftp: SftpClient, mode: number): Promise<void> {
    const missing: string[] = [];
    for (let path = this.#path; !(await isFolder(sftp, Buffer.from(path))); path = parentOf(path)) {
      missing.unshift(path);
      if (parentOf(path) === path) break;
    }
    for (const path of missing) await makeFolder(sftp, Buffer.from(path), mode);
    for (const path of missing) await this.flush(sftp, Buffer.from(parentOf(path)));
  }

  /** Makes a folder and its parents below the directory; never the directory. */
  async makeFolders(sftp: SftpClient, folder: string, mode: number): Promise<void> {
    await this.assertPresent(sftp);
    for (const path of chainTo(folder).slice(1)) await makeFolder(sftp, this.resolve(path), mode);
  }

  /** Removes a folder and those below it, as far as nothing is in them; a server removes none in which something is. */
  async removeEmpty(sftp: SftpClient, folder: string): Promise<void> {
    const found = await entriesOf(sftp, this.resolve(folder), folder);
    if (!found) return;
    for (const below of found.folders) await this.removeEmpty(sftp, below);
    if (found.objects.length > 0) return;
    await sftp.rmdir(this.resolve(folder)).catch(async (error: unknown) => {
      if (!(error instanceof SftpError)) throw error;
      // In other words for each server: whether something is in it says what is still there.
      const left = await entriesOf(sftp, this.resolve(folder), folder);
      if (left !== undefined && left.objects.length + left.folders.length === 0) throw error;
    });
  }

  /**
   * Removes the empty folder for files on their way where there is nothing else: there is no repository, then, that needs
   * it. Who puts for the first time at this moment makes it again.
   */
  async removeTemporaryFolderIfAlone(sftp: SftpClient): Promise<void> {
    const found = await sftp.list(this.resolve(''));
    if (found.some(({ name }) => name.toString('utf8') !== temporaryFolder)) return;
    await sftp.rmdir(this.resolve(temporaryFolder)).catch(refused);
  }

  /** Flushes the folders above one, so that it survives power loss, whoever made it. */
  async flushAbove(sftp: SftpClient, folder: string): Promise<void> {
    await Promise.all(
      chainTo(folder)
        .slice(0, -1)
        .map((path) => this.flush(sftp, this.resolve(path))),
    );
  }

  /**
   * Flushes a folder, so that names made in it survive power loss. OpenSSH opens directories as files are opened, and
   * flushes them on Linux and the BSDs; other servers refuse one or the other, and are not asked again.
   */
  async flush(sftp: SftpClient, path: Buffer): Promise<void> {
    if (!this.#flushesFolders || !sftp.offers('fsync@openssh.com')) return;
    const handle = await sftp.open(path, openFlags.read).catch(refused);
    if (!handle) {
      this.#flushesFolders = false;
      return;
    }
    const flushed = sftp.fsync(handle).then(() => true, refused);
    const [done] = await Promise.all([flushed, sftp.release(handle)]);
    this.#flushesFolders = done === true;
  }
}

/** What the server refuses is no; what breaks the session is thrown. */
function refused(error: unknown): undefined {
  if (!(error instanceof SftpError)) throw error;
  return undefined;
}

/** '' for the directory, then each folder down to `folder`. */
function chainTo(folder: string): string[] {
  const chain = [''];
  if (folder === '') return chain;
  for (const part of folder.split('/')) chain.push(chain.length === 1 ? part : `${chain[chain.length - 1]}/${part}`);
  return chain;
}

function parentOf(path: string): string {
  const at = path.lastIndexOf('/');
  if (at < 0) return '.';
  return at === 0 ? '/' : path.slice(0, at);
}
