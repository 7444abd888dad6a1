/**
 * Exact attributes, as GNU find prints them: times to the nanosecond, inodes, devices, counts of names. Fields end with a
 * zero byte, so that names of any bytes pass (findutils manual, "Print File Information").
 */
import { decodeName } from '../../base/names.ts';
import type { NodeAttributes, NodeType } from '../../model/node.ts';
import { withLinks } from './types.ts';

/** In the order in which `parseExact` takes them. */
export const exactFormat = ['f', 'y', 'm', 'T@', 'A@', 'C@', 'U', 'G', 'u', 'g', 'i', 'D', 's', 'n', 'l']
  .map((field) => `%${field}\\0`)
  .join('');
const fieldCount = 15;

const types: Readonly<Record<string, NodeType>> = {
  ...{ f: 'file', d: 'dir', l: 'symlink', b: 'dev', c: 'chardev', p: 'fifo', s: 'socket' },
};

/** Every entry of find's output; `undefined` if it is anything else. */
export function parseExact(output: Buffer): NodeAttributes[] | undefined {
  const found: NodeAttributes[] = [];
  for (let at = 0; at < output.length; ) {
    const fields: Buffer[] = [];
    while (fields.length < fieldCount) {
      const end = output.indexOf(0, at);
      if (end < 0) return undefined;
      fields.push(output.subarray(at, end));
      at = end + 1;
    }
    const attributes = describe(fields);
    if (!attributes) return undefined;
    found.push(attributes);
  }
  return found;
}

function describe(fields: readonly Buffer[]): NodeAttributes | undefined {
  const [, letter, mode, mtime, atime, ctime, uid, gid, user, group, inode, device, size, links] = fields.map((field) =>
    field.toString('latin1'),
  );
  const times = [mtime, atime, ctime].map(parseTimeNs);
  const numbers = [uid, gid, inode, device, size, links];
  if (times.includes(undefined) || !/^[0-7]+$/.test(mode) || !numbers.every((text) => /^\d+$/.test(text)))
    return undefined;
  const type = types[letter] ?? 'irregular';
  return {
    name: decodeName(fields[0]),
    type,
    mode: Number.parseInt(mode, 8) & 0o7777,
    mtimeNs: times[0]!,
    atimeNs: times[1]!,
    ctimeNs: times[2]!,
    uid: Number(uid),
    gid: Number(gid),
    // find prints the number where there is no name
    user: user === uid ? undefined : decodeName(fields[8]),
    group: group === gid ? undefined : decodeName(fields[9]),
    inode: BigInt(inode),
    deviceId: BigInt(device),
    size: type === 'file' ? Number(size) : 0,
    links: withLinks(type) ? Number(links) : 0,
    linkTarget: type === 'symlink' ? decodeName(fields[14]) : undefined,
  };
}

/** Seconds, and behind the point what is added to them: half a second before 1970 is `-1.5`, as find prints it. */
export function parseTimeNs(text: string): bigint | undefined {
  const match = /^(-?)(\d+)(?:\.(\d{1,10}))?$/.exec(text);
  if (!match) return undefined;
  const seconds = BigInt(`${match[1]}${match[2]}`);
  return seconds * 1_000_000_000n + BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
}

/** Seconds and nanoseconds as `touch -d @…` takes them. */
export function showTimeNs(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const size = ns < 0n ? -ns : ns;
  return `${sign}${size / 1_000_000_000n}.${String(size % 1_000_000_000n).padStart(9, '0')}`;
}

/** What `stat -c '%t %T'` prints of a device node, major and minor in hex, as Linux has them in st_rdev. */
export function parseDevice(text: string): bigint | undefined {
  const match = /^([0-9a-f]+) ([0-9a-f]+)$/.exec(text);
  if (!match) return undefined;
  const [major, minor] = [BigInt(`0x${match[1]}`), BigInt(`0x${match[2]}`)];
  return (minor & 0xffn) | ((major & 0xfffn) << 8n) | ((minor & ~0xffn) << 12n) | ((major & ~0xfffn) << 32n);
}

/** Major and minor number of st_rdev on Linux. */
export function splitDevice(device: bigint): { readonly major: bigint; readonly minor: bigint } {
  return {
    major: ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn),
    minor: (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn),
  };
}
