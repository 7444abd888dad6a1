/** Files of a container whose image has no shell: from archives that the engine makes. */
import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import { HoldfastError } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { NodeAttributes, NodeType } from '../../model/node.ts';
import type { FileReader, HostFiles } from '../host.ts';
import { engineFailure, statusOf } from './api.ts';
import type { Container } from './container.ts';
import { makeDevice } from './stat-records.ts';
import { notTar, type TarHeader } from './tar-header.ts';
import { TarReader } from './tar-reader.ts';

/** Entries of listings kept for the directories below one that was listed: about 300 bytes each. */
const mostKept = 500_000;
const types: ReadonlyMap<string, NodeType> = new Map([
  ['0', 'file'],
  ['1', 'file'],
  ['2', 'symlink'],
  ['3', 'chardev'],
  ['4', 'dev'],
  ['5', 'dir'],
  ['6', 'fifo'],
  ['7', 'file'],
]);

/**
 * An archive of a directory holds all that is below it, so a listing reads the whole tree once and keeps the listings of
 * the directories below until they are asked for. Names of one file become files of their own, and every file is read at every
 * backup, for archives tell times to the second and no inode.
 */
export function archiveFiles(container: Container): HostFiles {
  const kept = new Map<string, NodeAttributes[]>();
  const attributes = async (path: string): Promise<NodeAttributes> => {
    const { reader, header } = await openArchive(container, path);
    await reader.close();
    return describe(header, baseName(path));
  };
  return {
    attributes,
    list: async (path) => {
      const known = kept.get(path) ?? (await listTree(container, path, kept));
      kept.delete(path);
      return known;
    },
    open: async (path) => await openFile(container, path),
  };
}

async function openFile(container: Container, path: string): Promise<FileReader> {
  const { reader, header } = await openArchive(container, path);
  if (types.get(header.type) !== 'file') {
    await reader.close();
    throw wrongKind(path, 'a plain file');
  }
  const attributes = describe(header, baseName(path));
  return {
    read: async (into) => await reader.read(into),
    // the engine sends as many bytes as the header says, or breaks off
    attributes: async () => attributes,
    close: async () => await reader.close(),
  };
}

/** The entries of `path`; those of the directories below go to `kept`, as far as there is room. */
async function listTree(
  container: Container,
  path: string,
  kept: Map<string, NodeAttributes[]>,
): Promise<NodeAttributes[]> {
  const { reader, header: top } = await openArchive(container, path);
  try {
    if (types.get(top.type) !== 'dir') throw wrongKind(path, 'a directory');
    const listings = new Listings(path, withoutSlash(top.path));
    for (let header = await reader.next(); header; header = await reader.next()) listings.add(header);
    for (const [directory, entries] of listings.below) kept.set(directory, entries);
    return listings.own;
  } finally {
    await reader.close();
  }
}

/** Sorts the entries of an archive by directory. */
class Listings {
  readonly own: NodeAttributes[] = [];
  readonly below = new Map<string, NodeAttributes[]>();
  readonly #path: string;
  /** The name that stands for `path` in the archive. */
  readonly #root: string;
  /** For the names of one file: only the first tells its size. */
  readonly #sizes = new Map<string, number>();
  #count = 0;

  constructor(path: string, root: string) {
    this.#path = path;
    this.#root = root;
  }

  add(header: TarHeader): void {
    const inside = withoutSlash(header.path).slice(this.#root.length).replace(/^\/*/, '');
    const place = this.#path === '/' ? `/${inside}` : `${this.#path}/${inside}`;
    const entry = describe(header, baseName(place), this.#sizes.get(header.linkPath));
    const directory = place.slice(0, place.lastIndexOf('/')) || '/';
    if (directory === this.#path) this.own.push(entry);
    else this.below.get(directory)?.push(entry);
    this.#count++;
    // listings that are not whole are of no use
    if (this.#count === mostKept) this.below.clear();
    if (this.#count >= mostKept) return;
    if (entry.type === 'dir') this.below.set(place, []);
    if (header.type === '0') this.#sizes.set(header.path, header.size);
  }
}

async function openArchive(container: Container, path: string): Promise<{ reader: TarReader; header: TarHeader }> {
  if (!path.isWellFormed()) throw unreadable(path, 'its name is no text, which the engine’s API cannot take');
  const stream = (await container.docker.getArchive({ path }).catch((error: unknown) => {
    if (statusOf(error) === 404) throw missing(path, error);
    throw engineFailure(container.api, `read ${printableName(path)} in the container ${container.name}`, error);
  })) as Readable;
  const reader = new TarReader(stream);
  try {
    const header = await reader.next();
    if (!header) throw notTar();
    return { reader, header };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function describe(header: TarHeader, name: string, linkedSize?: number): NodeAttributes {
  const type = types.get(header.type) ?? 'irregular';
  const isDevice = type === 'dev' || type === 'chardev';
  return {
    ...{ name, type, mode: header.mode & 0o7777, uid: header.uid, gid: header.gid },
    ...{ mtimeNs: header.mtimeNs, atimeNs: header.mtimeNs, ctimeNs: header.mtimeNs },
    user: header.user || undefined,
    group: header.group || undefined,
    // another one each time, so that no file is taken for unchanged by a time that is told to the second
    inode: randomBytes(8).readBigUInt64BE() >> 1n,
    deviceId: 0n,
    size: type === 'file' ? (linkedSize ?? header.size) : 0,
    links: type === 'dir' || type === 'fifo' ? 0 : 1,
    linkTarget: type === 'symlink' ? header.linkPath : undefined,
    device: isDevice ? makeDevice(header.device.major, header.device.minor) : undefined,
    xattrs: header.xattrs.length > 0 ? header.xattrs : undefined,
  };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function withoutSlash(path: string): string {
  return path.replace(/\/+$/, '');
}

function missing(path: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'source.missing',
    message: `${printableName(path)} does not exist in the container`,
    remedy: 'Check the path as it is in the container; if it is a volume, that it is mounted.',
    cause,
  });
}

function wrongKind(path: string, wanted: string): HoldfastError {
  return unreadable(path, `it is not ${wanted}`);
}

function unreadable(path: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${printableName(path)} cannot be read in the container: ${why}`,
    remedy: 'Exclude it, or back up the volume on the machine itself.',
  });
}
