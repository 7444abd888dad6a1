/** What a restore writes to on this machine; see `RestoreTarget` for the guarantees. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { decodeName, encodeName, printableName, systemPath } from '../../base/names.ts';
import { openDatabaseOf, openNoDatabase } from '../../base/open-databases.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { FileWriter, RestoreTarget } from '../host.ts';
import { applyNode, applyToOpen, type Problem } from './apply-attributes.ts';
import { Directories, nameIn, type Place } from './directories.ts';
import { ownDatabaseTarget, writeFailure } from './failures.ts';
import { fileWriter } from './file-writer.ts';
import { openPathOnly } from './long-paths.ts';
import type { Syscalls, SystemPath } from './syscalls.ts';

type Existing = 'refuse' | 'replace';

const createNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const reopen = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Nobody else's until the owner and mode are set. */
const privateMode = 0o600;
const nodeFormats = { dev: 0o060000, chardev: 0o020000, fifo: 0o010000, socket: 0o140000 };

export function openLocalTarget(directory: string, existing: Existing, calls: Syscalls): LocalTarget {
  try {
    mkdirSync(systemPath(directory), { recursive: true, mode: 0o700 });
    const real = decodeName(realpathSync(systemPath(directory), 'buffer'));
    const fd = openSync(systemPath(real), constants.O_RDONLY | constants.O_DIRECTORY);
    // callers name things by the path they gave, which may lead through the operator's own links
    return new LocalTarget(new Directories(withoutSlash(directory), fd), fd, existing, calls);
  } catch (cause) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `the directory ${printableName(directory)} cannot be restored to: ${systemCode(cause) ?? cause}`,
      remedy: 'Name a directory, existing or not, that may be written to.',
      cause,
    });
  }
}

/** Counted for the whole process: two restores into one directory must not meet in a name. */
let temporaries = 0;

export class LocalTarget implements RestoreTarget {
  readonly #directories: Directories;
  readonly #rootFd: number;
  readonly #existing: Existing;
  readonly #calls: Syscalls;
  readonly #writers = new Set<FileWriter>();
  readonly #told = new Set<string>();

  constructor(directories: Directories, rootFd: number, existing: Existing, calls: Syscalls) {
    this.#directories = directories;
    this.#rootFd = rootFd;
    this.#existing = existing;
    this.#calls = calls;
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      this.#directories.make(path);
    } catch (error) {
      if (this.#existing === 'refuse' || !this.#removeIfFile(path)) throw error;
      this.#directories.make(path);
    }
  }

  async createFile(path: string, size: number): Promise<FileWriter> {
    const { fd, name, publish } = this.#create(path);
    const remove = (): void => this.#unlink(path, name);
    try {
      ftruncateSync(fd, size);
    } catch (error) {
      closeSync(fd);
      remove();
      throw writeFailure(path, error);
    }
    return this.#writer({ fd, path, sparse: true, publish, remove });
  }

  async reviseFile(path: string, size: number): Promise<FileWriter | undefined> {
    let fd: number | undefined;
    try {
      fd = openNoDatabase(this.#directories.place(path).at, reopen, (database) => ownDatabaseTarget(path, database));
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.nlink !== 1) {
        closeSync(fd);
        return undefined;
      }
      ftruncateSync(fd, size);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (['ENOENT', 'ELOOP', 'EISDIR', 'ENXIO'].includes(systemCode(error) ?? '')) return undefined;
      throw writeFailure(path, error);
    }
    return this.#writer({ fd, path, sparse: false, publish: () => {}, remove: () => {} });
  }

  writeWhole(path: string, content: Uint8Array, node?: NodeAttributes, problem: (message: string) => void = () => {}) {
    const { fd, name, publish } = this.#create(path);
    try {
      try {
        for (let done = 0; done < content.length; ) done += writeSync(fd, content, done, content.length - done, done);
        if (node) applyToOpen(this.#calls, fd, path, node, this.#tellOnce(problem));
        if (!this.#calls.syncFileSystem) fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      publish();
    } catch (error) {
      this.#unlink(path, name);
      throw writeFailure(path, error);
    }
  }

  async makeLink(path: string, existing: string): Promise<void> {
    // held on its own: reaching the second place may close the directory of the first
    const held = openSync(`/proc/self/fd/${this.#directories.place(existing).directory}`, openPathOnly);
    try {
      const source = nameIn(held, existing.slice(existing.lastIndexOf('/') + 1));
      const place = this.#directories.place(path);
      if (!sameObject(source, place.at)) this.#put(path, place, (at) => linkSync(source, at));
    } catch (error) {
      throw writeFailure(path, error);
    } finally {
      closeSync(held);
    }
  }

  async makeSpecial(path: string, node: NodeAttributes): Promise<void> {
    const make = this.#maker(path, node);
    try {
      this.#put(path, this.#directories.place(path), make);
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  applyAttributes(path: string, node: NodeAttributes, problem: (message: string) => void): void {
    applyNode(this.#calls, this.#directories.place(path).at, path, node, this.#tellOnce(problem));
  }

  async finish(): Promise<void> {
    try {
      await this.#calls.syncFileSystem?.(this.#rootFd);
    } catch (error) {
      throw writeFailure('the restored data', error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers) await writer.abandon();
    this.#directories[Symbol.dispose]();
    closeSync(this.#rootFd);
  }

  #tellOnce(problem: (message: string) => void): Problem {
    return (kind, message) => {
      if (this.#told.has(kind)) return;
      this.#told.add(kind);
      problem(message);
    };
  }

  #writer(file: { fd: number; path: string; sparse: boolean; publish: () => void; remove: () => void }): FileWriter {
    const released = (): void => void this.#writers.delete(writer);
    const writer = fileWriter({ ...file, flush: !this.#calls.syncFileSystem, released });
    this.#writers.add(writer);
    return writer;
  }

  /** A new file under its own name, or under a temporary one that `publish` changes, if it replaces something. */
  #create(path: string): { fd: number; name: string; publish: () => void } {
    const { at, directory } = this.#directories.place(path);
    const own = path.slice(path.lastIndexOf('/') + 1);
    try {
      return { fd: openSync(at, createNew, privateMode), name: own, publish: () => {} };
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw writeFailure(path, error);
      this.#mayReplace(path, at);
    }
    const name = this.#temporaryName();
    try {
      const fd = openSync(nameIn(directory, name), createNew, privateMode);
      const publish = (): void => {
        const place = this.#directories.place(path);
        renameSync(nameIn(place.directory, name), place.at);
      };
      return { fd, name, publish };
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /** Makes something small at `place`, in one step also where it replaces something. */
  #put(path: string, place: Place, make: (at: SystemPath) => void): void {
    try {
      make(place.at);
      return;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      this.#mayReplace(path, place.at);
    }
    const temporary = nameIn(place.directory, this.#temporaryName());
    make(temporary);
    try {
      renameSync(temporary, place.at);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
  }

  #maker(path: string, node: NodeAttributes): (at: SystemPath) => void {
    if (node.type === 'symlink') return (at) => symlinkSync(encodeName(node.linkTarget ?? ''), at);
    const { makeNode } = this.#calls;
    if (!makeNode || node.type === 'file' || node.type === 'dir' || node.type === 'irregular') {
      throw new HoldfastError({
        code: 'restore.failed',
        message: `${printableName(path)} is a ${node.type}, which cannot be made on this machine`,
        remedy: makeNode
          ? 'Exclude it from the restore.'
          : 'Install the optional package "koffi", or exclude it from the restore.',
      });
    }
    const mode = nodeFormats[node.type] | privateMode;
    return (at) => makeNode(at, mode, node.device ?? 0n);
  }

  /** An empty directory gives way; one that holds something never does. */
  #mayReplace(path: string, at: SystemPath): void {
    const refuse = (what: string, remedy: string): HoldfastError =>
      new HoldfastError({
        code: 'restore.target-exists',
        message: `${printableName(path)} exists already${what}`,
        remedy,
      });
    if (this.#existing === 'refuse') throw refuse('', 'Restore to an empty directory, or allow that it is replaced.');
    const present = lstatSync(at, { bigint: true });
    const database = openDatabaseOf(present);
    if (database !== undefined) throw ownDatabaseTarget(path, database);
    if (!present.isDirectory()) return;
    try {
      rmdirSync(at);
    } catch {
      throw refuse(', as a directory that is not empty', 'Move the directory away.');
    }
  }

  /** A link to a directory stays: it is the operator's way to move a directory elsewhere. */
  #removeIfFile(path: string): boolean {
    const { at } = this.#directories.place(path);
    const stat = lstatSync(at, { bigint: true, throwIfNoEntry: false });
    if (!stat || stat.isDirectory() || stat.isSymbolicLink()) return false;
    const database = openDatabaseOf(stat);
    if (database !== undefined) throw ownDatabaseTarget(path, database);
    unlinkSync(at);
    return true;
  }

  #unlink(path: string, name: string): void {
    try {
      unlinkSync(nameIn(this.#directories.place(path).directory, name));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw writeFailure(path, error);
    }
  }

  #temporaryName(): string {
    return `.holdfast-${process.pid}-${temporaries++}`;
  }
}

function sameObject(a: SystemPath, b: SystemPath): boolean {
  const [one, other] = [lstatSync(a, { bigint: true }), lstatSync(b, { bigint: true, throwIfNoEntry: false })];
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

function withoutSlash(path: string): string {
  return path === '/' ? path : path.replace(/\/+$/, '');
}
