/** Files on the host: over SFTP, with exact attributes where GNU find is there to tell them. */
import type { Clock } from '../../base/clock.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { decodeName, encodeName, printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import type { SftpAttributes } from '../../protocols/sftp/packets.ts';
import type { FileReader, HostFiles } from '../host.ts';
import { exactFormat, parseDevice, parseExact } from './exact-attributes.ts';
import { readFailure } from './failures.ts';
import type { FarShell } from './far-shell.ts';
import { openFarFile } from './file-reader.ts';
import { holesOf } from './holes.ts';
import type { SftpSession } from './sftp-session.ts';
import { coarseAttributes, sftpSeconds, typeOf } from './types.ts';
import { withXattrs, xattrsOf } from './xattrs.ts';

/** Questions about single entries of a directory that are under way at once. */
const questions = 32;

type Unreadable = (path: string, error: unknown) => void;

export interface FarPlaces {
  readonly sftp: SftpSession;
  /** Absent where no programs may be run, or find is not GNU's: then attributes are what SFTP knows. */
  readonly exact?: FarShell;
  /** What else the shell can be asked for. */
  readonly xattrs?: boolean;
  readonly holes?: boolean;
  readonly clock: Clock;
}

export type FarAbilities = Pick<FarPlaces, 'exact' | 'xattrs' | 'holes'>;

/** What a shell at the far end adds to SFTP. */
export async function abilitiesOf(shell: FarShell): Promise<FarAbilities> {
  const has = async (...argv: string[]): Promise<boolean> => (await shell.call(argv)).status === 0;
  const [{ status, output }, xattrs, holes] = await Promise.all([
    shell.call(['find', '/', '-maxdepth', '0', '-printf', exactFormat]),
    has('getfattr', '--version'),
    has('has', 'python3', 'perl'),
  ]);
  return status === 0 && parseExact(output)?.length === 1 ? { exact: shell, xattrs, holes } : {};
}

export function farFiles(places: FarPlaces): HostFiles {
  return {
    attributes: (path) => attributesOf(places, path),
    list: (path, unreadable) => listDirectory(places, path, unreadable),
    open: (path) => openFile(places, path),
  };
}

async function attributesOf({ sftp, exact, xattrs, clock }: FarPlaces, path: string): Promise<NodeAttributes> {
  try {
    const found = exact && (await exactAttributes(exact, path));
    if (found && xattrs) return { ...found, xattrs: await xattrsOf(exact, path, throwIt) };
    if (found) return found;
    return await coarse(await sftp.get(), path, clock.nowMs());
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** `undefined` where find could not tell: SFTP knows why. */
export async function exactAttributes(shell: FarShell, path: string): Promise<NodeAttributes | undefined> {
  const { status, output } = await shell.call(['find', path, '-maxdepth', '0', '-printf', exactFormat]);
  const [found] = (status === 0 && parseExact(output)) || [];
  if (!found) return undefined;
  const [named] = await withDevices(shell, '', [{ ...found, name: path }]);
  return { ...named, name: nameOf(path) };
}

async function coarse(sftp: SftpClient, path: string, nowMs: number): Promise<NodeAttributes> {
  const raw = encodeName(path);
  const found = await sftp.lstat(raw);
  const target = typeOf(found) === 'symlink' ? decodeName(await sftp.readlink(raw)) : undefined;
  return coarseAttributes(nameOf(path), found, nowMs, target);
}

async function listDirectory(places: FarPlaces, path: string, unreadable: Unreadable): Promise<NodeAttributes[]> {
  try {
    const { exact } = places;
    if (!exact) return await listCoarsely(places, path, unreadable);
    // with the slash, a path that is a link to a directory is that directory
    const argv = ['find', `${path}/`, '-mindepth', '1', '-maxdepth', '1', '-printf', exactFormat];
    const { status, output } = await exact.call(argv);
    const found = parseExact(output);
    const whole = found && status === 0;
    const entries = whole
      ? await withDevices(exact, prefixOf(path), found)
      : await listWithGaps(places, exact, path, found ?? [], unreadable);
    return places.xattrs ? await withXattrs(exact, prefixOf(path), entries, unreadable) : entries;
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** When find complained: about the directory itself, or about entries, some of which may only have vanished. */
async function listWithGaps(
  places: FarPlaces,
  exact: FarShell,
  path: string,
  found: readonly NodeAttributes[],
  unreadable: Unreadable,
): Promise<NodeAttributes[]> {
  const sftp = await places.sftp.get();
  await sftp.list(encodeName(path)); // throws if it is the directory
  const seen = new Set(found.map(({ name }) => name));
  const { output } = await exact.call(['names', path]);
  const names = decodeNames(output).filter((name) => name !== '.' && name !== '..' && !seen.has(name));
  const more = await examineEach(sftp, path, names, places.clock.nowMs(), unreadable);
  return [...(await withDevices(exact, prefixOf(path), found)), ...more];
}

async function listCoarsely(
  { sftp, clock }: FarPlaces,
  path: string,
  unreadable: Unreadable,
): Promise<NodeAttributes[]> {
  const session = await sftp.get();
  const nowMs = clock.nowMs();
  const names = await session.list(encodeName(path));
  const links: string[] = [];
  const found: NodeAttributes[] = [];
  for (const { name, attributes } of names) {
    const text = decodeName(name);
    if (typeOf(attributes) === 'symlink') links.push(text);
    else found.push(coarseAttributes(text, attributes, nowMs));
  }
  return [...found, ...(await examineEach(session, path, links, nowMs, unreadable))];
}

/** Asks about entries one by one; those that are gone are left out. */
async function examineEach(
  sftp: SftpClient,
  path: string,
  names: readonly string[],
  nowMs: number,
  unreadable: Unreadable,
): Promise<NodeAttributes[]> {
  const found: NodeAttributes[] = [];
  await forEachConcurrent(names, questions, async (name) => {
    const child = `${prefixOf(path)}${name}`;
    try {
      found.push(await coarse(sftp, child, nowMs));
    } catch (error) {
      const failure = readFailure(child, error);
      if (hasCode(failure, 'host.unreachable')) throw failure;
      if (!hasCode(failure, 'source.missing')) unreadable(child, failure);
    }
  });
  return found;
}

/** find does not print the numbers of devices; stat does. One that cannot be told is left at 0, as no device has it. */
async function withDevices(
  shell: FarShell,
  prefix: string,
  found: readonly NodeAttributes[],
): Promise<NodeAttributes[]> {
  const devices = found.filter(({ type }) => type === 'dev' || type === 'chardev');
  if (devices.length === 0) return [...found];
  const numbers = new Map<NodeAttributes, bigint>();
  await forEachConcurrent(devices, questions, async (one) => {
    const { output } = await shell.call(['stat', '-c', '%t %T', '--', `${prefix}${one.name}`]);
    numbers.set(one, parseDevice(output.toString('latin1').trim()) ?? 0n);
  });
  return found.map((one) => (numbers.has(one) ? { ...one, device: numbers.get(one) } : one));
}

async function openFile({ sftp, exact, holes, clock }: FarPlaces, path: string): Promise<FileReader> {
  try {
    const session = await sftp.get();
    // a fifo would hold the whole session up, and opening follows links
    if (typeOf(await session.lstat(encodeName(path))) !== 'file') throw noFile(path);
    return await openFarFile({
      ...{ sftp: session, path },
      describe: (now) => openAttributes(exact, path, now, clock.nowMs()),
      holes: exact && holes ? (least) => holesOf(exact, path, least) : undefined,
    });
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** Of an open file: the exact ones of its name, if that still is what the handle says, to the second. */
async function openAttributes(
  exact: FarShell | undefined,
  path: string,
  now: SftpAttributes,
  nowMs: number,
): Promise<NodeAttributes> {
  const coarsely = coarseAttributes(nameOf(path), now, nowMs);
  const named = exact && (await exactAttributes(exact, path));
  if (!named || named.size !== coarsely.size) return coarsely;
  return sftpSeconds(named.mtimeNs) === now.mtime ? named : coarsely;
}

function throwIt(_path: string, error: unknown): never {
  throw error;
}

function decodeNames(output: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf(0, at);
    if (end < 0) break;
    names.push(decodeName(output.subarray(at, end)));
    at = end + 1;
  }
  return names;
}

function prefixOf(path: string): string {
  return path === '/' ? '/' : `${path}/`;
}

function nameOf(path: string): string {
  return path === '/' ? '' : path.slice(path.lastIndexOf('/') + 1);
}

function noFile(path: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${printableName(path)} is no longer a plain file`,
    remedy: 'It was replaced while it was examined; run the backup again.',
  });
}
