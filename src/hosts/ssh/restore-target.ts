/** What a restore writes to on the host; see `RestoreTarget` for the guarantees, and README.md for how far they go here. */
import { randomBytes } from 'node:crypto';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import { decodeName, encodeName, printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { openFlags, statuses } from '../../protocols/sftp/packets.ts';
import type { FileWriter, RestoreTarget } from '../host.ts';
import { applyExactTime, applyToHandle, applyToPath, type Problem } from './apply-attributes.ts';
import { Directories } from './directories.ts';
import { splitDevice } from './exact-attributes.ts';
import { hasStatus, writeFailure } from './failures.ts';
import type { FarShell } from './far-shell.ts';
import { farFileWriter, parts } from './file-writer.ts';
import { exactAttributes, type FarPlaces } from './files.ts';
import type { SftpSession } from './sftp-session.ts';
import { typeOf } from './types.ts';

type Existing = 'refuse' | 'replace';

/** Nobody else's until the owner and mode are set. */
const privateMode = 0o600;

export async function openFarTarget(places: FarPlaces, directory: string, existing: Existing): Promise<RestoreTarget> {
  try {
    const sftp = await places.sftp.get();
    await makeRoot(sftp, directory);
    const real = decodeName(await sftp.realpath(encodeName(directory)));
    // callers name things by the path they gave, which may lead through the operator's own links
    return new FarTarget(places, new Directories(places.sftp, withoutSlash(directory), real), real, existing);
  } catch (cause) {
    if (hasCode(cause, 'host.unreachable')) throw cause;
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `the directory ${printableName(directory)} cannot be restored to: ${messageOf(cause)}`,
      remedy: 'Name a directory of that machine, existing or not, that may be written to.',
      cause,
    });
  }
}

/** With what is missing above it; links on the way are the operator's and are followed. */
async function makeRoot(sftp: SftpClient, directory: string): Promise<void> {
  const components = withoutSlash(directory).split('/').slice(1);
  for (let depth = 1; depth <= components.length; depth++) {
    const raw = encodeName(`/${components.slice(0, depth).join('/')}`);
    try {
      if (typeOf(await sftp.stat(raw)) !== 'dir') throw new Error(`${printableName(decodeName(raw))} is no directory`);
    } catch (error) {
      if (!hasStatus(error, statuses.noSuchFile)) throw error;
      await sftp.mkdir(raw, 0o700);
    }
  }
}

/** A file under way: `at` is its own name or a temporary one, which `publish` changes. */
interface Created {
  readonly sftp: SftpClient;
  readonly handle: Buffer;
  readonly at: string;
  readonly publish: () => Promise<void>;
}

class FarTarget implements RestoreTarget {
  readonly #sftp: SftpSession;
  readonly #shell: FarShell | undefined;
  readonly #directories: Directories;
  readonly #root: string;
  readonly #existing: Existing;
  readonly #writers = new Set<FileWriter>();
  readonly #told = new Set<string>();
  readonly #token = randomBytes(6).toString('hex');
  #temporaries = 0;

  constructor(places: FarPlaces, directories: Directories, root: string, existing: Existing) {
    this.#sftp = places.sftp;
    this.#shell = places.exact;
    this.#directories = directories;
    this.#root = root;
    this.#existing = existing;
  }

  async makeDirectory(path: string): Promise<void> {
    try {
      await this.#directories.make(path);
    } catch (error) {
      if (this.#existing === 'refuse' || !(await this.#removeIfFile(path))) throw error;
      await this.#directories.make(path);
    }
  }

  async createFile(path: string, size: number): Promise<FileWriter> {
    const created = await this.#create(path);
    const remove = (): Promise<void> => this.#remove(path, created);
    try {
      if (size > 0) await created.sftp.fsetstat(created.handle, { size: BigInt(size) });
    } catch (error) {
      await created.sftp.release(created.handle).catch(() => {});
      await remove();
      throw writeFailure(path, error);
    }
    return this.#writer(path, created, true, remove);
  }

  async reviseFile(path: string, size: number): Promise<FileWriter | undefined> {
    const at = await this.#directories.place(path);
    // SFTP does not know how many names a file has
    const found = this.#shell && (await exactAttributes(this.#shell, at));
    if (found?.type !== 'file' || found.links !== 1) return undefined;
    try {
      const sftp = await this.#sftp.get();
      const handle = await sftp.open(encodeName(at), openFlags.read | openFlags.write);
      await sftp.fsetstat(handle, { size: BigInt(size) });
      const nothing = async (): Promise<void> => {};
      return this.#writer(path, { sftp, handle, at, publish: nothing }, false, nothing);
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  async writeWhole(
    path: string,
    content: Uint8Array,
    node?: NodeAttributes,
    problem: (message: string) => void = () => {},
  ): Promise<void> {
    const created = await this.#create(path);
    const { sftp, handle, at } = created;
    try {
      const written = parts(content.length, sftp.writeLength).map(({ from, to }) =>
        sftp.write(handle, from, content.subarray(from, to)),
      );
      const to = node && { sftp, shell: this.#shell, at, path, node, problem: this.#tellOnce(problem) };
      await Promise.all([...written, to && applyToHandle(to, handle)]);
      if (this.#flushesEach(sftp)) await sftp.fsync(handle);
      await sftp.release(handle);
      if (to) await applyExactTime(to);
      await created.publish();
    } catch (error) {
      await this.#remove(path, created);
      throw writeFailure(path, error);
    }
  }

  async makeLink(path: string, existing: string): Promise<void> {
    const source = encodeName(await this.#directories.place(existing));
    await this.#put(path, async (sftp, at) => await sftp.hardlink(source, encodeName(at)));
  }

  async makeSpecial(path: string, node: NodeAttributes): Promise<void> {
    if (node.type === 'symlink') {
      const target = encodeName(node.linkTarget ?? '');
      await this.#put(path, async (sftp, at) => await sftp.symlink(target, encodeName(at)));
      return;
    }
    const program = nodeProgram(node);
    const shell = this.#shell;
    if (!program || !shell) throw notMade(path, node, shell !== undefined);
    await this.#put(path, async (_sftp, at) => {
      if ((await shell.call(program(at))).status !== 0) throw notMade(path, node, true);
    });
  }

  async applyAttributes(path: string, node: NodeAttributes, problem: (message: string) => void): Promise<void> {
    const at = await this.#directories.place(path);
    const sftp = await this.#sftp.get();
    const to = { sftp, shell: this.#shell, at, path, node, problem: this.#tellOnce(problem) };
    await applyToPath(to);
    await applyExactTime(to);
  }

  async finish(): Promise<void> {
    if (!this.#shell) return; // each file was flushed on its own
    if ((await this.#shell.call(['sync', '-f', this.#root])).status === 0) return;
    if ((await this.#shell.call(['sync'])).status === 0) return;
    throw writeFailure('the restored data', new Error('sync fails'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers) await writer.abandon();
  }

  #flushesEach(sftp: SftpClient): boolean {
    return !this.#shell && sftp.offers('fsync@openssh.com');
  }

  #tellOnce(problem: (message: string) => void): Problem {
    return (kind, message) => {
      if (this.#told.has(kind)) return;
      this.#told.add(kind);
      problem(message);
    };
  }

  #writer(path: string, { sftp, handle, publish }: Created, sparse: boolean, remove: () => Promise<void>): FileWriter {
    const released = (): void => void this.#writers.delete(writer);
    const flush = this.#flushesEach(sftp);
    const writer = farFileWriter({ sftp, handle, path, sparse, flush, publish, remove, released });
    this.#writers.add(writer);
    return writer;
  }

  /** A new file under its own name, or under a temporary one, if it replaces something. */
  async #create(path: string): Promise<Created> {
    const at = await this.#directories.place(path);
    try {
      const sftp = await this.#sftp.get();
      try {
        const handle = await sftp.createExclusively(encodeName(at), privateMode);
        return { sftp, handle, at, publish: async () => {} };
      } catch (error) {
        await this.#mayReplace(sftp, path, at, error);
      }
      const beside = this.#temporary(at);
      const handle = await sftp.createExclusively(encodeName(beside), privateMode);
      const publish = (): Promise<void> => replace(sftp, beside, at);
      return { sftp, handle, at: beside, publish };
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /** Makes something small, in one step also where it replaces something. */
  async #put(path: string, make: (sftp: SftpClient, at: string) => Promise<void>): Promise<void> {
    const at = await this.#directories.place(path);
    try {
      const sftp = await this.#sftp.get();
      try {
        await make(sftp, at);
        return;
      } catch (error) {
        await this.#mayReplace(sftp, path, at, error);
      }
      const beside = this.#temporary(at);
      await make(sftp, beside);
      await replace(sftp, beside, at);
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /** Returns if what could not be made at `at` failed because something is there that may go; an empty directory gives way, one that holds something never does. */
  async #mayReplace(sftp: SftpClient, path: string, at: string, failure: unknown): Promise<void> {
    if (sftp.broken) throw failure;
    const raw = encodeName(at);
    const there = await sftp.lstat(raw).catch(() => undefined);
    if (!there) throw failure;
    if (this.#existing === 'refuse') {
      throw exists(path, '', 'Restore to an empty directory, or allow that it is replaced.');
    }
    if (typeOf(there) !== 'dir') return;
    try {
      await sftp.rmdir(raw);
      this.#directories.forget(at);
    } catch {
      throw exists(path, ', as a directory that is not empty', 'Move the directory away.');
    }
  }

  /** A link to a directory stays: it is the operator's way to move a directory elsewhere. */
  async #removeIfFile(path: string): Promise<boolean> {
    const raw = encodeName(await this.#directories.place(path));
    const sftp = await this.#sftp.get();
    const there = await sftp.lstat(raw).catch(() => undefined);
    if (!there || typeOf(there) === 'dir' || typeOf(there) === 'symlink') return false;
    await sftp.remove(raw);
    return true;
  }

  async #remove(path: string, { sftp, at }: Created): Promise<void> {
    if (sftp.broken) return; // it cannot be reached: what is left of it has a temporary name, or was to be complete
    try {
      await sftp.remove(encodeName(at));
    } catch (error) {
      if (!hasStatus(error, statuses.noSuchFile)) throw writeFailure(path, error);
    }
  }

  #temporary(at: string): string {
    return `${at.slice(0, at.lastIndexOf('/'))}/.holdfast-${this.#token}-${this.#temporaries++}`;
  }
}

/** In one step, where the server offers that; else there is a moment without either. */
async function replace(sftp: SftpClient, from: string, to: string): Promise<void> {
  try {
    if (!sftp.offers('posix-rename@openssh.com')) await sftp.remove(encodeName(to));
    await sftp.rename(encodeName(from), encodeName(to));
  } catch (error) {
    if (!sftp.broken) await sftp.remove(encodeName(from)).catch(() => {});
    throw error;
  }
  // renaming one name of a file to another of its names does nothing at all (rename(2)); otherwise there is nothing to remove
  await sftp.remove(encodeName(from)).catch(() => {});
}

/** How a shell makes an object of this kind; `undefined` if none can. */
function nodeProgram({ type, device = 0n }: NodeAttributes): ((at: string) => string[]) | undefined {
  if (type === 'fifo') return (at) => ['mkfifo', '-m', '600', '--', at];
  if (type !== 'dev' && type !== 'chardev') return undefined;
  const { major, minor } = splitDevice(device);
  return (at) => ['mknod', '-m', '600', '--', at, type === 'dev' ? 'b' : 'c', String(major), String(minor)];
}

function notMade(path: string, node: NodeAttributes, hasShell: boolean): HoldfastError {
  return new HoldfastError({
    code: 'restore.failed',
    message: `${printableName(path)} is a ${node.type}, which cannot be made on that machine${hasShell ? ' by this user' : ' over SFTP alone'}`,
    remedy: 'Exclude it from the restore, or sign in as root.',
  });
}

function exists(path: string, what: string, remedy: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `${printableName(path)} exists already${what}`,
    remedy,
  });
}

function withoutSlash(path: string): string {
  return path === '/' ? path : path.replace(/\/+$/, '');
}
