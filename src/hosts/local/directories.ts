/**
 * The directories of a restore, held open. Each is reached from the one above by name, never through a symbolic link, and
 * things in it are named `/proc/self/fd/<n>/<name>`: whoever swaps a directory for a link meanwhile gains nothing, and
 * paths may be longer than the kernel's 4096 bytes.
 */
import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { printableName, systemPath } from '../../base/names.ts';
import { namesBelow } from '../names-below.ts';
import { writeFailure } from './failures.ts';
import { openPathOnly } from './long-paths.ts';
import type { SystemPath } from './syscalls.ts';

/** Open directories kept for the files that follow; far below the usual limit of 1024 descriptors. */
const keptOpen = 200;
const openDirectory = openPathOnly | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Where something lies: its place, as the system takes it, valid until the next call. */
export interface Place {
  readonly at: SystemPath;
  /** The directory it is in, by which more names can be formed. */
  readonly directory: number;
}

export class Directories implements Disposable {
  readonly #root: string;
  readonly #rootFd: number;
  /** By path below the root; the one used longest ago first. */
  readonly #open = new Map<string, number>();

  /** `root` is a directory; symbolic links in its own path are the operator's and are followed. */
  constructor(root: string, rootFd: number) {
    this.#root = root;
    this.#rootFd = rootFd;
  }

  /** The place of `path`, whose parent directories exist. */
  place(path: string): Place {
    const components = namesBelow(this.#root, path);
    const name = components.pop();
    if (name === undefined) return { at: `/proc/self/fd/${this.#rootFd}`, directory: this.#rootFd };
    const directory = this.#reach(components, false, path);
    return { at: nameIn(directory, name), directory };
  }

  /** Makes `path` and what is missing above it. */
  make(path: string): void {
    this.#reach(namesBelow(this.#root, path), true, path);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  /** Opens the directory, from the nearest one that is open. Of a very deep path only the ends are kept open. */
  #reach(components: readonly string[], make: boolean, path: string): number {
    const keys = components.map((_, at) => components.slice(0, at + 1).join('/'));
    let depth = keys.length;
    while (depth > 0 && !this.#open.has(keys[depth - 1])) depth--;
    let current = depth === 0 ? this.#rootFd : this.#touch(keys[depth - 1]);
    for (; depth < keys.length; depth++) {
      if (make) this.#makeOne(current, components[depth], path);
      current = this.#keep(keys[depth], openOne(current, components[depth], path));
    }
    return current;
  }

  #makeOne(directory: number, name: string, path: string): void {
    try {
      // closed to everybody else until its own mode is set, after its content
      mkdirSync(nameIn(directory, name), 0o700);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw writeFailure(path, error);
    }
  }

  #touch(key: string): number {
    const fd = this.#open.get(key)!;
    this.#open.delete(key);
    this.#open.set(key, fd);
    return fd;
  }

  #keep(key: string, fd: number): number {
    this.#open.set(key, fd);
    if (this.#open.size > keptOpen) {
      const [oldest, oldestFd] = this.#open.entries().next().value!;
      this.#open.delete(oldest);
      closeSync(oldestFd);
    }
    return fd;
  }
}

export function nameIn(directory: number, name: string): SystemPath {
  return systemPath(`/proc/self/fd/${directory}/${name}`);
}

function openOne(directory: number, name: string, path: string): number {
  try {
    return openSync(nameIn(directory, name), openDirectory);
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR' || systemCode(error) === 'ELOOP') {
      throw new HoldfastError({
        code: 'restore.target-exists',
        message: `above ${printableName(path)}, "${printableName(name)}" is no directory but a file or a symbolic link, and nothing is written through it`,
        remedy: 'Move it away, or restore to an empty directory.',
        cause: error,
      });
    }
    throw writeFailure(path, error);
  }
}
