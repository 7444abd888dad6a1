/**
 * The directories of a restore. SFTP has no way to hold a directory open, so each is examined by its path, from the root
 * down, and what is no directory (a symbolic link above all) is not entered. What was examined or made is remembered: a
 * directory that somebody else swaps for a link while the restore runs is not noticed.
 */
import { HoldfastError } from '../../base/errors.ts';
import { encodeName, printableName } from '../../base/names.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { statuses } from '../../protocols/sftp/packets.ts';
import { namesBelow } from '../names-below.ts';
import { hasStatus, writeFailure } from './failures.ts';
import type { SftpSession } from './sftp-session.ts';
import { typeOf } from './types.ts';

/** Directories remembered, the ones used longest ago forgotten first: a few megabytes. */
const remembered = 20_000;
/** Nobody else's until its own mode is set, after its content. */
const privateMode = 0o700;

export class Directories {
  readonly #sftp: SftpSession;
  /** As callers name it, and as it is. */
  readonly #root: string;
  readonly #real: string;
  readonly #known = new Set<string>();

  constructor(sftp: SftpSession, root: string, real: string) {
    this.#sftp = sftp;
    this.#root = root;
    this.#real = real === '/' ? '' : real;
  }

  /** Where `path` is on the host; the directory it is in exists and is one. */
  async place(path: string): Promise<string> {
    const components = namesBelow(this.#root, path);
    const name = components.pop();
    if (name === undefined) return this.#real || '/';
    return `${await this.#reach(components, false, path)}/${name}`;
  }

  /** Makes `path` and what is missing above it. */
  async make(path: string): Promise<void> {
    await this.#reach(namesBelow(this.#root, path), true, path);
  }

  /** `at` gave way to something else. */
  forget(at: string): void {
    this.#known.delete(at);
  }

  async #reach(components: readonly string[], make: boolean, path: string): Promise<string> {
    const full = [this.#real, ...components].join('/');
    if (components.length === 0 || this.#known.has(full)) return full;
    const sftp = await this.#sftp.get();
    let at = this.#real;
    for (const name of components) {
      at = `${at}/${name}`;
      if (this.#known.has(at)) continue;
      await this.#enter(sftp, at, make, path);
      this.#remember(at);
    }
    return full;
  }

  async #enter(sftp: SftpClient, at: string, make: boolean, path: string): Promise<void> {
    const raw = encodeName(at);
    try {
      if (make && (await made(sftp, raw))) return;
      if (typeOf(await sftp.lstat(raw)) === 'dir') return;
    } catch (error) {
      throw writeFailure(path, error);
    }
    throw new HoldfastError({
      code: 'restore.target-exists',
      message: `at or above ${printableName(path)}, ${printableName(at)} is no directory but a file or a symbolic link, and nothing is written through it`,
      remedy: 'Move it away, or restore to an empty directory.',
    });
  }

  #remember(at: string): void {
    this.#known.add(at);
    if (this.#known.size <= remembered) return;
    const [oldest] = this.#known;
    this.#known.delete(oldest);
  }
}

/** False if something is there already. */
async function made(sftp: SftpClient, raw: Buffer): Promise<boolean> {
  try {
    await sftp.mkdir(raw, privateMode);
    return true;
  } catch (error) {
    // version 3 has no status for «exists»
    if (hasStatus(error, statuses.failure)) return false;
    throw error;
  }
}
