/**
 * System calls that `node:fs` does not offer, through koffi. koffi is an optional dependency: without it (or without a
 * function in the C library) the member is absent, and what it costs is said by `missingAbilities`. All calls are
 * synchronous and take one or two microseconds, except `syncFileSystem` and `copyRange`. Linux; constants are those of x86-64 and arm64.
 * A failed call throws an error like those of `node:fs`, with `code`, `errno`, `syscall` and `path`.
 */
import { createRequire } from 'node:module';
import { getSystemErrorMap } from 'node:util';
import type koffi from 'koffi';
import type { KoffiFunc } from 'koffi';

/** What `node:fs` takes too: text, or raw bytes without a NUL at the end. */
export type SystemPath = string | Buffer;

export interface Syscalls {
  readonly attributes?: AttributeCalls;
  /** Offset of the first byte of data at or behind `from`; -1 if there is none. */
  readonly seekData?: (fd: number, from: number) => number;
  /** Offset of the first byte of a hole at or behind `from` (the end of the file counts as one); -1 if `from` is behind the end. */
  readonly seekHole?: (fd: number, from: number) => number;
  /** Tells the kernel that the file will be read from start to end. Only advice: never fails. */
  readonly adviseSequential?: (fd: number) => void;
  /** Sets access and modification time in nanoseconds since the epoch. */
  readonly setTimes?: (path: SystemPath, atimeNs: bigint, mtimeNs: bigint, followLink: boolean) => void;
  /** `mode` includes the file type, `device` is an st_rdev. */
  readonly makeNode?: (path: SystemPath, mode: number, device: bigint) => void;
  /** Writes everything of the file system of `fd` to the disk, in another thread. */
  readonly syncFileSystem?: (fd: number) => Promise<void>;
  /** `Host.copyRange`, in another thread. */
  readonly copyRange?: (from: number, to: number, length: number) => Promise<number>;
}

/** Extended attributes. `followLink` tells whether a symlink itself or what it points to is meant. */
export interface AttributeCalls {
  /** In the order of the kernel; empty where the file system has none. */
  list(path: SystemPath, followLink: boolean): Buffer[];
  /** `undefined` if it is gone. */
  get(path: SystemPath, name: Buffer, followLink: boolean): Buffer | undefined;
  set(path: SystemPath, name: Buffer, value: Uint8Array, followLink: boolean): void;
  remove(path: SystemPath, name: Buffer, followLink: boolean): void;
}

type Native = KoffiFunc<(...args: unknown[]) => number>;
type Koffi = typeof koffi;

interface Library {
  /** `undefined` if the C library has no such function. */
  find(declaration: string): Native | undefined;
  /** The error of the last failed call. */
  failure(syscall: string, path?: SystemPath): Error;
  errno(): number;
}

/** Largest value and largest list of names that Linux allows (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const attributeLimit = 65_536;
const seekDataWhence = 3;
const seekHoleWhence = 4;
const adviceSequential = 2;
const currentDirectory = -100;
const noFollow = 0x100;
const enodata = 61;
const enxio = 6;
const enotsup = 95;
const nsPerSecond = 1_000_000_000n;

let loaded: Syscalls | undefined;

/** The calls this machine offers; loaded once. */
export function loadSyscalls(): Syscalls {
  loaded ??= bind(openLibrary());
  return loaded;
}

/** What does not work for lack of system calls, a sentence each; empty when all is there. */
export function missingAbilities(calls: Syscalls): string[] {
  const lacks: string[] = [];
  if (!calls.attributes) lacks.push('extended attributes and access control lists are neither read nor restored');
  if (!calls.setTimes) lacks.push('times are restored to the microsecond only');
  if (!calls.makeNode) lacks.push('device nodes, fifos and sockets cannot be restored');
  if (!calls.seekData || !calls.seekHole) lacks.push('holes of sparse files are read as zeros, which takes time');
  return lacks.map((lack) => `The optional package "koffi" cannot be used on this machine: ${lack}.`);
}

function openLibrary(): Library | undefined {
  let native: Koffi;
  try {
    native = createRequire(import.meta.url)('koffi') as Koffi;
  } catch {
    return undefined; // not installed, or no prebuilt binary for this machine: `missingAbilities` tells
  }
  const library = native.load(null);
  const messages = getSystemErrorMap();
  return {
    find(declaration) {
      try {
        return library.func(declaration) as Native;
      } catch {
        return undefined;
      }
    },
    errno: () => native.errno(),
    failure(syscall, path) {
      const errno = native.errno();
      const [code, text] = messages.get(-errno) ?? [`E${errno}`, 'system error'];
      const where = path === undefined ? '' : ` '${path.toString()}'`;
      return Object.assign(new Error(`${code}: ${text}, ${syscall}${where}`), { code, errno: -errno, syscall, path });
    },
  };
}

function bind(library: Library | undefined): Syscalls {
  if (!library) return {};
  return {
    attributes: bindAttributes(library),
    ...bindSeek(library),
    adviseSequential: bindAdvice(library),
    setTimes: bindTimes(library),
    makeNode: bindMakeNode(library),
    syncFileSystem: bindSync(library),
    copyRange: bindCopy(library),
  };
}

function bindAttributes(library: Library): AttributeCalls | undefined {
  const both = (follow: string, own: string): [Native, Native] | undefined => {
    const [a, b] = [library.find(follow), library.find(own)];
    return a && b ? [a, b] : undefined;
  };
  const listing = '(const char *path, void *list, size_t size)';
  const value = '(const char *path, const char *name, void *value, size_t size)';
  const list = both(`int64_t listxattr${listing}`, `int64_t llistxattr${listing}`);
  const get = both(`int64_t getxattr${value}`, `int64_t lgetxattr${value}`);
  const setting = '(const char *path, const char *name, const void *value, size_t size, int flags)';
  const set = both(`int setxattr${setting}`, `int lsetxattr${setting}`);
  const remove = both(
    'int removexattr(const char *path, const char *name)',
    'int lremovexattr(const char *path, const char *name)',
  );
  if (!list || !get || !set || !remove) return undefined;
  const scratch = Buffer.alloc(attributeLimit);
  return {
    list(path, followLink) {
      const length = list[followLink ? 0 : 1](terminated(path), scratch, attributeLimit);
      if (length > 0) return splitNames(scratch.subarray(0, length));
      if (length === 0 || library.errno() === enotsup) return [];
      throw library.failure('listxattr', path);
    },
    get(path, name, followLink) {
      const length = get[followLink ? 0 : 1](terminated(path), terminated(name), scratch, attributeLimit);
      if (length >= 0) return Buffer.from(scratch.subarray(0, length));
      if (library.errno() === enodata || library.errno() === enotsup) return undefined;
      throw library.failure('getxattr', path);
    },
    set(path, name, bytes, followLink) {
      const status = set[followLink ? 0 : 1](terminated(path), terminated(name), bytes, bytes.byteLength, 0);
      if (status !== 0) throw library.failure('setxattr', path);
    },
    remove(path, name, followLink) {
      const status = remove[followLink ? 0 : 1](terminated(path), terminated(name));
      if (status !== 0 && library.errno() !== enodata) throw library.failure('removexattr', path);
    },
  };
}

function bindSeek(library: Library): Pick<Syscalls, 'seekData' | 'seekHole'> {
  const lseek = library.find('int64_t lseek(int fd, int64_t offset, int whence)');
  if (!lseek) return {};
  const seek = (fd: number, from: number, whence: number): number => {
    const offset = lseek(fd, from, whence);
    if (offset >= 0 || library.errno() === enxio) return offset;
    throw library.failure('lseek');
  };
  return {
    seekData: (fd, from) => seek(fd, from, seekDataWhence),
    seekHole: (fd, from) => seek(fd, from, seekHoleWhence),
  };
}

function bindAdvice(library: Library): Syscalls['adviseSequential'] {
  const advise = library.find('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)');
  return advise && ((fd) => void advise(fd, 0, 0, adviceSequential));
}

function bindTimes(library: Library): Syscalls['setTimes'] {
  const utimensat = library.find('int utimensat(int dirfd, const char *path, const void *times, int flags)');
  if (!utimensat) return undefined;
  const times = new BigInt64Array(4); // two timespecs: access, modification
  return (path, atimeNs, mtimeNs, followLink) => {
    [times[0], times[1]] = timespec(atimeNs);
    [times[2], times[3]] = timespec(mtimeNs);
    const status: number = utimensat(currentDirectory, terminated(path), times, followLink ? 0 : noFollow);
    if (status !== 0) throw library.failure('utimensat', path);
  };
}

function bindMakeNode(library: Library): Syscalls['makeNode'] {
  const mknod = library.find('int mknod(const char *path, unsigned int mode, uint64_t device)');
  return (
    mknod &&
    ((path, mode, device) => {
      const status: number = mknod(terminated(path), mode, device);
      if (status !== 0) throw library.failure('mknod', path);
    })
  );
}

function bindSync(library: Library): Syscalls['syncFileSystem'] {
  const syncfs = library.find('int syncfs(int fd)');
  if (!syncfs) return undefined;
  return (fd) =>
    new Promise((resolve, reject) => {
      syncfs.async(fd, (error: unknown, status: number) => {
        if (error) reject(error);
        else if (status !== 0) reject(library.failure('syncfs'));
        else resolve();
      });
    });
}

/** sendfile(2), which copies from any file system to any other, and ends at the end of the file, not where that once was. */
function bindCopy(library: Library): Syscalls['copyRange'] {
  const sendfile = library.find('int64_t sendfile(int to, int from, void *position, size_t length)');
  if (!sendfile) return undefined;
  return (from, to, length) =>
    new Promise((resolve, reject) => {
      sendfile.async(to, from, null, length, (error: unknown, count: number) => {
        if (error) reject(error);
        else if (count < 0) reject(library.failure('sendfile'));
        else resolve(count);
      });
    });
}

/** Seconds and nanoseconds with 0 ≤ nanoseconds < 10⁹, also before 1970. */
function timespec(ns: bigint): [bigint, bigint] {
  const rest = ((ns % nsPerSecond) + nsPerSecond) % nsPerSecond;
  return [(ns - rest) / nsPerSecond, rest];
}

function splitNames(list: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let from = 0; from < list.length; ) {
    const end = list.indexOf(0, from);
    names.push(Buffer.from(list.subarray(from, end)));
    from = end + 1;
  }
  return names;
}

/** For C: raw bytes get their NUL (koffi adds it to text). A NUL inside would silently name another file, so it is refused. */
function terminated(path: SystemPath): SystemPath {
  if (typeof path === 'string') {
    if (path.includes('\0')) throw Object.assign(new Error('EINVAL: NUL in a name'), { code: 'EINVAL' });
    return path;
  }
  if (path.includes(0)) throw Object.assign(new Error('EINVAL: NUL in a name'), { code: 'EINVAL' });
  return Buffer.concat([path, Buffer.of(0)]);
}
