/** From the attributes SFTP gives to those a snapshot keeps. */
import type { NodeAttributes, NodeType } from '../../model/node.ts';
import type { SftpAttributes } from '../../protocols/sftp/packets.ts';

const typeBits = 0o170000;
const types: ReadonlyMap<number, NodeType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'dir'],
  [0o120000, 'symlink'],
  [0o060000, 'dev'],
  [0o020000, 'chardev'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);

export function typeOf(attributes: SftpAttributes): NodeType {
  return types.get((attributes.mode ?? 0) & typeBits) ?? 'irregular';
}

/** Objects whose count of names is kept, as restic does. */
export function withLinks(type: NodeType): boolean {
  return type === 'file' || type === 'symlink' || type === 'dev' || type === 'chardev';
}

const nsPerSecond = 1_000_000_000n;

/** Whole seconds as SFTP version 3 has them: 32 bits, which wrap for times before 1970 and after 2106. */
export function sftpSeconds(ns: bigint): number {
  const whole = ns / nsPerSecond - (ns % nsPerSecond < 0n ? 1n : 0n);
  return Number(BigInt.asUintN(32, whole));
}

/** True if SFTP can set this time without loss. */
export function isWholeSeconds(ns: bigint): boolean {
  return ns % nsPerSecond === 0n && ns >= 0n && ns < nsPerSecond << 32n;
}

/** Clocks of two machines are hardly further apart. */
const freshMs = 3_600_000;

/**
 * What SFTP version 3 can say: whole seconds, no inode, no count of names, no ctime. A file may change again within the
 * second of its mtime; one that was changed lately gets the present for its ctime, so that it never looks unchanged to the
 * next backup, which then reads it again.
 */
export function coarseAttributes(name: string, of: SftpAttributes, nowMs: number, linkTarget?: string): NodeAttributes {
  const type = typeOf(of);
  const mtimeNs = BigInt(of.mtime ?? 0) * nsPerSecond;
  const fresh = (of.mtime ?? 0) * 1000 > nowMs - freshMs;
  return {
    name,
    type,
    mode: (of.mode ?? 0) & 0o7777,
    mtimeNs,
    atimeNs: BigInt(of.atime ?? 0) * nsPerSecond,
    ctimeNs: fresh ? BigInt(Math.floor(nowMs * 1000)) * 1000n : mtimeNs,
    uid: of.uid ?? 0,
    gid: of.gid ?? 0,
    inode: 0n,
    deviceId: 0n,
    size: type === 'file' ? Number(of.size ?? 0n) : 0,
    links: withLinks(type) ? 1 : 0,
    linkTarget,
    device: type === 'dev' || type === 'chardev' ? 0n : undefined,
  };
}
