/**
 * The repository's directory, and the guard against a disk that is not there. A disk or NAS that is not mounted leaves an
 * empty mount point, or none: writing there would fill the wrong disk, and an empty listing would be a lie.
 */
import { mkdir, open, readdir, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { isAbsent, isUnsupported, localError } from './io-errors.ts';

interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly fileSystem: bigint;
}

export class Root {
  readonly path: string;
  readonly #opened: Identity;

  private constructor(path: string, opened: Identity) {
    this.path = path;
    this.#opened = opened;
  }

  /** `storage.not-found` if the directory is missing. */
  static async open(path: string): Promise<Root> {
    return new Root(path, await identify(path));
  }

  /**
   * Throws `storage.not-found` if the directory is gone, or is another one than was opened. Either the device or
   * inode and file system must be as before: an automounter may give a new device number to the same NAS, and FUSE file
   * systems may give a new inode number to the same directory, but an unmounted disk changes both.
   */
  async assertPresent(): Promise<void> {
    const now = await identify(this.path);
    if (now.device === this.#opened.device) return;
    if (now.inode === this.#opened.inode && now.fileSystem === this.#opened.fileSystem) return;
    throw away(this.path, 'is not the directory it was when it was opened');
  }

  /** The path of an object or folder; '' is the root itself. The name has been checked. */
  resolve(name: string): string {
    return name === '' ? this.path : `${this.path}/${name}`;
  }

  /** Makes a folder and its parents below the root; never the root. Existing ones are fine. */
  async makeFolder(folder: string, mode: number): Promise<void> {
    await this.assertPresent();
    for (const path of this.chainTo(folder).slice(1)) {
      try {
        await mkdir(path, { mode });
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
    }
  }

  /** The root's path and that of each folder down to `folder`. */
  chainTo(folder: string): string[] {
    const chain = [this.path];
    for (const part of folder.split('/')) if (part !== '') chain.push(join(chain[chain.length - 1], part));
    return chain;
  }
}

/** Makes the directory of a new repository, with its parents, so that it survives power loss. An existing one is fine. */
export async function makeRoot(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** The folder and those below it, as far as nothing is in them. Links are not followed. */
export async function removeEmptyFolders(path: string): Promise<void> {
  try {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.isDirectory()) await removeEmptyFolders(join(path, entry.name));
    }
    await rmdir(path);
  } catch (error) {
    if (!isAbsent(error) && systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EEXIST') throw error;
  }
}

/**
 * Flushes a directory, so that names made or replaced in it survive power loss. File systems that have no such call
 * (some CIFS and FUSE ones: EINVAL, ENOTSUP) keep their names by other means, or not at all; nothing can be done here.
 */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    if (!isUnsupported(error)) throw error;
  }
}

async function identify(path: string): Promise<Identity> {
  try {
    const [entry, system] = await Promise.all([stat(path, { bigint: true }), statfs(path, { bigint: true })]);
    if (!entry.isDirectory()) throw away(path, 'is not a directory');
    return { device: entry.dev, inode: entry.ino, fileSystem: system.type };
  } catch (error) {
    if (isAbsent(error)) throw away(path, 'does not exist', error);
    throw localError(error, 'look at the directory', path);
  }
}

function away(path: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `the directory ${path} ${why}`,
    remedy: `Is it mounted? Connect and mount the disk or NAS that holds it, or correct the path; nothing was written there.`,
    cause,
  });
}
