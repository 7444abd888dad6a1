/** What the session is told of files to write. */
import type { NodeAttributes } from '../../model/node.ts';

/** The largest piece written with one request. */
const pieceBytes = 1 << 20;
/** Zeros are looked for in pieces of this size. */
const zeroBytes = 64 * 1024;
/** dd writes a block at a time: what is not aligned to this goes byte by byte in the worst case. */
const pageBytes = 4096;
const zeros = Buffer.alloc(zeroBytes);
const setIdBits = 0o6000;

/** The stretches to write: of a new file those that hold anything but zeros; none longer than a request may be. */
export function dataParts(bytes: Uint8Array, position: number, skipZeros: boolean): { from: number; to: number }[] {
  const parts: { from: number; to: number }[] = [];
  let from = 0;
  for (let to = 0; from < bytes.length; from = to) {
    to = Math.min(bytes.length, from + lengthOfPart(position + from));
    if (skipZeros && zeros.compare(bytes, from, to, 0, to - from) === 0) continue;
    const last = parts.at(-1);
    const mayGrow = last?.to === from && to - last.from <= pieceBytes && (position + last.from) % pageBytes === 0;
    if (mayGrow) last.to = to;
    else parts.push({ from, to });
  }
  return parts;
}

/** Up to the next page, so that what follows can be written in blocks, then up to the next multiple of `zeroBytes`. */
function lengthOfPart(position: number): number {
  const toPage = pageBytes - (position % pageBytes);
  return toPage < pageBytes ? toPage : zeroBytes - (position % zeroBytes);
}

/** `position` as dd takes it: so many blocks of that size, the largest that divides it. */
export function blocksFor(position: number): { block: number; blocks: number } {
  let block = zeroBytes;
  while (position % block !== 0) block /= 2;
  return { block, blocks: position / block };
}

/** Owner, access and modification time, mode, and the mode if the owner cannot be set. */
export function attributeWords(node: NodeAttributes): string[] {
  const isLink = node.type === 'symlink';
  return [
    `${node.uid}:${node.gid}`,
    seconds(node.atimeNs),
    seconds(node.mtimeNs),
    isLink ? '' : node.mode.toString(8).padStart(4, '0'),
    isLink ? '' : (node.mode & ~setIdBits).toString(8).padStart(4, '0'),
  ];
}

/** `@seconds.nanoseconds`, rounded down as a file system rounds. */
function seconds(ns: bigint): string {
  const billion = 1_000_000_000n;
  const fraction = ((ns % billion) + billion) % billion;
  return `@${(ns - fraction) / billion}.${fraction.toString().padStart(9, '0')}`;
}

/** Major and minor of a device, as gnu_dev_major(3) and gnu_dev_minor(3) take it apart. */
export function deviceNumbers(device: bigint): [string, string] {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn);
  return [String(major), String(minor)];
}
