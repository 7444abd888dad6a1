/**
 * Part of a snapshot as a tar file (POSIX.1-2001 pax interchange format, as `tar` of GNU and BSD read it): for who wants to
 * have it without Holdfast. Owners, modes, times to the nanosecond, links to other paths and devices are kept; hard links
 * become files of their own, extended attributes stay behind, sockets are left out: `restore` gives everything back.
 */
import { HoldfastError } from '../base/errors.ts';
import { encodeName } from '../base/names.ts';
import type { SnapshotContents } from '../drivers/driver.ts';
import type { Node } from '../model/node.ts';
import { listContents } from './list.ts';

const block = 512;
const typeFlags: Partial<Record<Node['type'], string>> = {
  file: '0',
  symlink: '2',
  chardev: '3',
  dev: '4',
  dir: '5',
  fifo: '6',
};

/** Everything at and below `path`, with names relative to `/`. Memory: a few blobs, and the trees on the way down. */
export async function* writeTar(
  contents: Pick<SnapshotContents, 'node' | 'children' | 'read'>,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const one of listContents(contents, { path, recursive: true, signal })) {
    const flag = typeFlags[one.node.type];
    if (flag === undefined) continue;
    yield entryHeader(one.path, one.node, flag);
    if (one.node.type === 'file') yield* fileBody(one.path, one.node.size, contents);
  }
  yield new Uint8Array(2 * block);
}

async function* fileBody(
  path: string,
  size: number,
  contents: Pick<SnapshotContents, 'read'>,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  if (size > 0) {
    for await (const part of contents.read(path)) {
      bytes += part.byteLength;
      yield part;
    }
  }
  if (bytes !== size) {
    throw new HoldfastError({
      code: 'repository.damaged',
      message: `${path} should have ${size} bytes in the snapshot, and has ${bytes}`,
      remedy: 'Check the repository: holdfast repo check --read-data.',
    });
  }
  if (size % block > 0) yield new Uint8Array(block - (size % block));
}

/** What the old header cannot say, or not exactly, is said in a pax header before it. */
function entryHeader(path: string, node: Node, flag: string): Buffer {
  const name = encodeName(path.slice(1) + (node.type === 'dir' ? '/' : ''));
  const link = encodeName(node.linkTarget ?? '');
  const records = paxRecords(node, name, link);
  const header = ustar({ name, link, node, flag, size: node.type === 'file' ? node.size : 0 });
  if (records.length === 0) return header;
  const pax = Buffer.concat(records);
  const paxName = Buffer.from('PaxHeaders/entry');
  const before = ustar({ name: paxName, link: Buffer.alloc(0), node, flag: 'x', size: pax.byteLength });
  return Buffer.concat([before, pax, Buffer.alloc((block - (pax.byteLength % block)) % block), header]);
}

const mostOctal = (digits: number): number => 8 ** digits - 1;

function paxRecords(node: Node, name: Buffer, link: Buffer): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: string | Buffer): void => void records.push(paxRecord(key, value));
  const isPlain = (text: Buffer): boolean => text.every((byte) => byte < 0x80);
  if (name.byteLength > 100 || !isPlain(name)) add('path', name);
  if (link.byteLength > 100 || !isPlain(link)) add('linkpath', link);
  if (node.type === 'file' && node.size > mostOctal(11)) add('size', String(node.size));
  if (node.uid > mostOctal(7)) add('uid', String(node.uid));
  if (node.gid > mostOctal(7)) add('gid', String(node.gid));
  const seconds = wholeSeconds(node.mtimeNs);
  if (node.mtimeNs % 1_000_000_000n !== 0n || seconds < 0 || seconds > mostOctal(11)) {
    add('mtime', decimalSeconds(node.mtimeNs));
  }
  return records;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.byteLength + 1;
  while (String(length).length + rest.byteLength !== length) length = String(length).length + rest.byteLength;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function wholeSeconds(ns: bigint): number {
  return Number(ns / 1_000_000_000n) - (ns < 0n && ns % 1_000_000_000n !== 0n ? 1 : 0);
}

function decimalSeconds(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const size = ns < 0n ? -ns : ns;
  return `${sign}${size / 1_000_000_000n}.${String(size % 1_000_000_000n).padStart(9, '0')}`;
}

interface Header {
  readonly name: Buffer;
  readonly link: Buffer;
  readonly node: Node;
  readonly flag: string;
  readonly size: number;
}

function ustar({ name, link, node, flag, size }: Header): Buffer {
  const header = Buffer.alloc(block);
  const octal = (value: number, at: number, digits: number): void => {
    const fits = value >= 0 && value <= mostOctal(digits);
    header.write((fits ? value : 0).toString(8).padStart(digits, '0'), at, 'latin1');
  };
  name.copy(header, 0, 0, 100);
  octal(node.mode & 0o7777, 100, 7);
  octal(node.uid, 108, 7);
  octal(node.gid, 116, 7);
  octal(size, 124, 11);
  octal(wholeSeconds(node.mtimeNs), 136, 11);
  header.write('        ', 148, 'latin1');
  header.write(flag, 156, 'latin1');
  link.copy(header, 157, 0, 100);
  header.write('ustar\x0000', 257, 'latin1');
  header.write((node.user ?? '').slice(0, 31), 265, 32, 'utf8');
  header.write((node.group ?? '').slice(0, 31), 297, 32, 'utf8');
  const { major, minor } = deviceNumbers(node.device ?? 0n);
  octal(major, 329, 7);
  octal(minor, 337, 7);
  header.write(
    header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0'),
    148,
    'latin1',
  );
  header.write('\x00 ', 154, 'latin1');
  return header;
}

/** As Linux' makedev has them (glibc, sys/sysmacros.h). */
function deviceNumbers(device: bigint): { major: number; minor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  return { major: Number(major), minor: Number(minor & 0xffffffffn) };
}
