/** One object of a snapshot beside its restored copy: everything but the content. */
import { equalBytes, toHex } from '../../base/bytes.ts';
import { printableName } from '../../base/names.ts';
import type { Check } from '../../model/fingerprint.ts';
import type { ExtendedAttribute, NodeAttributes } from '../../model/node.ts';

/** What the restoring user could restore at all. */
export interface Abilities {
  /** Root: owners, setuid bits, every extended attribute. */
  readonly root: boolean;
  /** Times in nanoseconds; else microseconds. */
  readonly exactTimes: boolean;
}

const setIdBits = 0o6000;

/** The differences, as failed checks; empty if there are none. Access and change times cannot be what they were. */
export function compareNode(path: string, wanted: NodeAttributes, found: NodeAttributes, can: Abilities): Check[] {
  const subject = `${wanted.type} ${printableName(path)}`;
  const checks: Check[] = [];
  const compare = (measure: string, expected: string | number | bigint, actual: string | number | bigint): void => {
    if (expected !== actual) checks.push({ subject, measure, expected: `${expected}`, found: `${actual}`, ok: false });
  };
  compare('type', wanted.type, found.type);
  if (checks.length > 0) return checks;
  if (wanted.type === 'file') compare('size', wanted.size, found.size);
  if (wanted.type === 'symlink') compare('link target', wanted.linkTarget ?? '', found.linkTarget ?? '');
  else compare('mode', octal(wanted.mode, can), octal(found.mode, can));
  compare('modification time (ns)', timeOf(wanted.mtimeNs, can), timeOf(found.mtimeNs, can));
  if (can.root) {
    compare('owner', wanted.uid, found.uid);
    compare('group', wanted.gid, found.gid);
  }
  if (wanted.type === 'dev' || wanted.type === 'chardev') compare('device', wanted.device ?? 0n, found.device ?? 0n);
  compareExtended(wanted.xattrs ?? [], found.xattrs ?? [], can, compare);
  return checks;
}

function octal(mode: number, can: Abilities): string {
  return `0${(can.root ? mode : mode & ~setIdBits).toString(8)}`;
}

function timeOf(ns: bigint, can: Abilities): bigint {
  return can.exactTimes ? ns : ns - (ns % 1000n);
}

/** Attributes beyond the snapshot's count only where a restore removes them: others a security module may have set. */
function compareExtended(
  wanted: readonly ExtendedAttribute[],
  found: readonly ExtendedAttribute[],
  can: Abilities,
  compare: (measure: string, expected: string, actual: string) => void,
): void {
  const ordinary = (name: string): boolean => name.startsWith('user.') || name.startsWith('system.posix_acl_');
  const actual = new Map(found.map((one) => [one.name, one.value]));
  for (const { name, value } of wanted) {
    if (!can.root && !ordinary(name)) continue;
    const other = actual.get(name);
    if (other && equalBytes(value, other)) continue;
    compare(`attribute ${printableName(name)}`, digest(value), other ? digest(other) : 'missing');
  }
  const names = new Set(wanted.map((one) => one.name));
  for (const { name, value } of found) {
    if (!names.has(name) && ordinary(name)) compare(`attribute ${printableName(name)}`, 'absent', digest(value));
  }
}

/** Enough of a value to tell it apart. */
function digest(value: Uint8Array): string {
  return `${value.length} bytes ${toHex(value.subarray(0, 32))}`;
}
