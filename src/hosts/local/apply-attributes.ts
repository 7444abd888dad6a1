/**
 * Owner, extended attributes, times and mode of a restored object, in the order in which none undoes another: a change of
 * owner clears setuid bits and file capabilities, writing an attribute changes no times but the ctime, and the mode comes last.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  lutimesSync,
  openSync,
  utimesSync,
} from 'node:fs';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import { writeExtendedAttributes } from './attributes.ts';
import { writeFailure } from './failures.ts';
import { openPathOnly } from './long-paths.ts';
import type { Syscalls, SystemPath } from './syscalls.ts';

/** `kind` tells problems of one cause from others: a person needs to read each once. */
export type Problem = (kind: string, message: string) => void;

const typeBits = 0o170000;
const formats = { file: 0o100000, dir: 0o040000, dev: 0o060000, chardev: 0o020000, fifo: 0o010000, socket: 0o140000 };
const setIdBits = 0o6000;

/** `at` is the object's place in a directory that was reached safely, `path` its name for people. */
export function applyNode(calls: Syscalls, at: SystemPath, path: string, node: NodeAttributes, problem: Problem): void {
  if (node.type === 'symlink') {
    applyAt(calls, at, path, node, problem, false);
    return;
  }
  const fd = openObject(at, path);
  try {
    const stat = fstatSync(fd);
    if (node.type === 'irregular' || (stat.mode & typeBits) !== formats[node.type]) throw replaced(path);
    applyToOpen(calls, fd, path, node, problem);
  } finally {
    closeSync(fd);
  }
}

/** The same for an object held open, by its descriptor: no swap of names can redirect anything. */
export function applyToOpen(calls: Syscalls, fd: number, path: string, node: NodeAttributes, problem: Problem): void {
  const at = `/proc/self/fd/${fd}`;
  const owned = applyAt(calls, at, path, node, problem, true);
  attempt(problem, 'mode', path, () => chmodSync(at, owned ? node.mode : node.mode & ~setIdBits));
}

/** Owner, extended attributes, times; false if the owner could not be set. */
function applyAt(
  calls: Syscalls,
  at: SystemPath,
  path: string,
  node: NodeAttributes,
  problem: Problem,
  follow: boolean,
): boolean {
  const owned = applyOwner(at, path, node, problem, follow);
  writeExtendedAttributes(calls, at, follow, node.xattrs ?? [], (attribute, error) => {
    const name = printableName(attribute);
    problem(
      `attribute ${name} ${systemCode(error)}`,
      `${printableName(path)}: extended attribute ${name}: ${messageOf(error)}`,
    );
  });
  attempt(problem, 'times', path, () => {
    if (calls.setTimes) calls.setTimes(at, node.atimeNs, node.mtimeNs, follow);
    else (follow ? utimesSync : lutimesSync)(at, Number(node.atimeNs) / 1e9, Number(node.mtimeNs) / 1e9);
  });
  return owned;
}

function applyOwner(at: SystemPath, path: string, node: NodeAttributes, problem: Problem, follow: boolean): boolean {
  const chown = follow ? chownSync : lchownSync;
  try {
    chown(at, node.uid, node.gid);
    return true;
  } catch (error) {
    const shown = printableName(path);
    const code = systemCode(error);
    problem(
      `owner ${code}`,
      code === 'EPERM'
        ? `${shown} and others: the owner cannot be restored without root; they belong to the user who restores, and setuid bits are left out`
        : `${shown}: the owner cannot be restored: ${messageOf(error)}`,
    );
    return false;
  }
}

function attempt(problem: Problem, what: string, path: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    problem(`${what} ${systemCode(error)}`, `${printableName(path)}: ${what}: ${messageOf(error)}`);
  }
}

function openObject(at: SystemPath, path: string): number {
  try {
    return openSync(at, openPathOnly | constants.O_NOFOLLOW);
  } catch (error) {
    throw writeFailure(path, error);
  }
}

function replaced(path: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.failed',
    message: `${printableName(path)} was replaced by something else while it was restored`,
    remedy: 'Find out what else writes there, and restore to a directory of its own.',
  });
}
