/** Go's os.FileMode, in which trees keep modes: permissions as in POSIX, everything else in bits of its own. */
import type { NodeType } from '../../model/node.ts';

const typeBits: Record<NodeType, number> = {
  file: 0,
  dir: 0x8000_0000,
  symlink: 0x0800_0000,
  dev: 0x0400_0000,
  chardev: 0x0420_0000,
  fifo: 0x0200_0000,
  socket: 0x0100_0000,
  irregular: 0x0008_0000,
};
const permissions = 0o777;
const posixSetuid = 0o4000;
const posixSetgid = 0o2000;
const posixSticky = 0o1000;
const goSetuid = 0x0080_0000;
const goSetgid = 0x0040_0000;
const goSticky = 0x0010_0000;

/** `mode`: POSIX permission bits with setuid, setgid, sticky. */
export function goMode(type: NodeType, mode: number): number {
  let bits = typeBits[type] + (mode & permissions);
  if (mode & posixSetuid) bits += goSetuid;
  if (mode & posixSetgid) bits += goSetgid;
  if (mode & posixSticky) bits += goSticky;
  return bits;
}

/** The POSIX permission bits; the type is told elsewhere. */
export function posixMode(mode: number): number {
  let bits = mode & permissions;
  if (mode & goSetuid) bits |= posixSetuid;
  if (mode & goSetgid) bits |= posixSetgid;
  if (mode & goSticky) bits |= posixSticky;
  return bits;
}

export function isNodeType(text: string): text is NodeType {
  return Object.hasOwn(typeBits, text);
}
