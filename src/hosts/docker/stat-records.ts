/** What the session prints of files, as attributes. */
import { decodeName } from '../../base/names.ts';
import type { NodeAttributes, NodeType } from '../../model/node.ts';

const types: ReadonlyMap<number, NodeType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'dir'],
  [0o120000, 'symlink'],
  [0o060000, 'dev'],
  [0o020000, 'chardev'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);
const withLinks: readonly NodeType[] = ['file', 'symlink', 'dev', 'chardev'];

/**
 * Reads records `TOKEN#mode links … names|name\n` (see the session's script) and, for symbolic links, `TOKEN>name TOKEN=target`.
 * The name is what follows the last slash of what was asked for. A symbolic link whose target was not printed is left out.
 */
export function parseRecords(output: Buffer, token: string): NodeAttributes[] {
  const found: NodeAttributes[] = [];
  const targets = new Map<string, string>();
  let link = '';
  for (const part of split(output, token)) {
    const text = decodeName(part.subarray(1));
    if (part[0] === 35) found.push(parseRecord(text));
    else if (part[0] === 62) link = baseName(text);
    else if (part[0] === 61) targets.set(link, text);
  }
  return found
    .filter((one) => one.type !== 'symlink' || targets.has(one.name))
    .map((one) => (one.type === 'symlink' ? { ...one, linkTarget: targets.get(one.name) } : one));
}

function* split(output: Buffer, token: string): Generator<Buffer> {
  for (let at = output.indexOf(token); at >= 0; ) {
    const next = output.indexOf(token, at + token.length);
    yield output.subarray(at + token.length, next < 0 ? output.length : next);
    at = next;
  }
}

function parseRecord(text: string): NodeAttributes {
  const [numbers, atime, mtime, ctime, user, group, ...rest] = text.split('|');
  const name = baseName(rest.join('|').replace(/\n$/, ''));
  const fields = numbers.split(' ');
  const [mode, major, minor] = [fields[0], fields[7], fields[8]].map((hex) => Number.parseInt(hex, 16));
  const [links, uid, gid, size] = fields.slice(1, 5).map(Number);
  const type = types.get(mode & 0o170000) ?? 'irregular';
  const isDevice = type === 'dev' || type === 'chardev';
  return {
    name,
    type,
    mode: mode & 0o7777,
    atimeNs: nanoseconds(fields[9], atime),
    mtimeNs: nanoseconds(fields[10], mtime),
    ctimeNs: nanoseconds(fields[11], ctime),
    uid,
    gid,
    user: accountName(user),
    group: accountName(group),
    inode: BigInt(fields[6]),
    deviceId: BigInt(fields[5]),
    size: type === 'file' ? size : 0,
    links: withLinks.includes(type) ? links : 0,
    device: isDevice ? makeDevice(major, minor) : undefined,
  };
}

/** Seconds since the epoch, and the fraction from the same time as people read it: `2020-09-13 12:26:40.123456789 +0000`. */
function nanoseconds(seconds: string, readable: string): bigint {
  const fraction = /\.(\d{1,9})/.exec(readable)?.[1] ?? '';
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
}

/** As makedev(3) of glibc puts it together. */
export function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (low & 0xffn) | ((high & 0xfffn) << 8n) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n);
}

function accountName(name: string): string | undefined {
  return name === 'UNKNOWN' || name === '' ? undefined : name;
}

function baseName(path: string): string {
  return path === '/' ? '' : path.slice(path.lastIndexOf('/') + 1);
}
