/** From stat to the attributes a snapshot keeps, in restic's terms (internal/fs/node.go). */
import { type BigIntStats, readlinkSync } from 'node:fs';
import { decodeName, encodeName } from '../../base/names.ts';
import type { ExtendedAttribute, NodeAttributes, NodeType } from '../../model/node.ts';
import type { Accounts } from './accounts.ts';
import type { Syscalls, SystemPath } from './syscalls.ts';

const typeBits = 0o170000n;
const types: ReadonlyMap<bigint, NodeType> = new Map([
  [0o100000n, 'file'],
  [0o040000n, 'dir'],
  [0o120000n, 'symlink'],
  [0o060000n, 'dev'],
  [0o020000n, 'chardev'],
  [0o010000n, 'fifo'],
  [0o140000n, 'socket'],
]);
const withLinks: readonly NodeType[] = ['file', 'symlink', 'dev', 'chardev'];

/** Everything but extended attributes. `path` is where a symlink's target is read from. */
export function describeStat(name: string, path: SystemPath, stat: BigIntStats, accounts: Accounts): NodeAttributes {
  const type = types.get(stat.mode & typeBits) ?? 'irregular';
  const uid = Number(stat.uid);
  const gid = Number(stat.gid);
  return {
    name,
    type,
    mode: Number(stat.mode & 0o7777n),
    mtimeNs: stat.mtimeNs,
    atimeNs: stat.atimeNs,
    ctimeNs: stat.ctimeNs,
    uid,
    gid,
    user: accounts.userName(uid),
    group: accounts.groupName(gid),
    inode: stat.ino,
    deviceId: stat.dev,
    size: type === 'file' ? Number(stat.size) : 0,
    links: withLinks.includes(type) ? Number(stat.nlink) : 0,
    linkTarget: type === 'symlink' ? decodeName(readlinkSync(path, 'buffer')) : undefined,
    device: type === 'dev' || type === 'chardev' ? stat.rdev : undefined,
    xattrs: undefined,
  };
}

/**
 * The extended attributes of an object (a symlink itself unless `followLink`), in the kernel's order, which is the order
 * restic stores. Values that cannot be read go to `unreadable`; a list that cannot be read at all throws.
 */
export function readExtendedAttributes(
  calls: Syscalls,
  path: SystemPath,
  followLink: boolean,
  unreadable: (attribute: string, error: unknown) => void,
): ExtendedAttribute[] | undefined {
  const names = calls.attributes?.list(path, followLink);
  if (!names?.length) return undefined;
  const found: ExtendedAttribute[] = [];
  for (const raw of names) {
    const name = decodeName(raw);
    try {
      const value = calls.attributes!.get(path, raw, followLink);
      if (value) found.push({ name, value });
    } catch (error) {
      unreadable(name, error);
    }
  }
  return found.length > 0 ? found : undefined;
}

/** Attributes a restore may take away from an object when the snapshot's has none of that name: those a directory's default rules put there. */
export function isRestorable(attribute: string): boolean {
  return attribute.startsWith('user.') || attribute.startsWith('system.posix_acl_');
}

/**
 * Makes an object's extended attributes those given. Each failure goes to `problem`. A default ACL inherited from the
 * directory is removed; attributes of other kinds that a security module set on its own (SELinux labels) stay.
 */
export function writeExtendedAttributes(
  calls: Syscalls,
  path: SystemPath,
  followLink: boolean,
  wanted: readonly ExtendedAttribute[],
  problem: (attribute: string, error: unknown) => void,
): void {
  if (!calls.attributes) return;
  const attempt = (name: string, act: () => void): void => {
    try {
      act();
    } catch (error) {
      problem(name, error);
    }
  };
  const names = new Set(wanted.map((attribute) => attribute.name));
  attempt('all', () => {
    for (const raw of calls.attributes!.list(path, followLink)) {
      const name = decodeName(raw);
      if (names.has(name) || !isRestorable(name)) continue;
      attempt(name, () => calls.attributes!.remove(path, raw, followLink));
    }
  });
  for (const { name, value } of wanted) {
    attempt(name, () => calls.attributes!.set(path, encodeName(name), value, followLink));
  }
}
