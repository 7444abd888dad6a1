/**
 * Owner, times and mode of a restored object, in the order in which none undoes another: a change of owner clears setuid
 * bits. SFTP sets whole seconds; where a GNU touch is there, it adds the rest of the mtime.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { encodeName, printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';
import { type SftpAttributes, statuses } from '../../protocols/sftp/packets.ts';
import { showTimeNs } from './exact-attributes.ts';
import { hasStatus, writeFailure } from './failures.ts';
import type { FarShell } from './far-shell.ts';
import { isWholeSeconds, sftpSeconds, typeOf } from './types.ts';
import { setXattrs } from './xattrs.ts';

/** `kind` tells problems of one cause from others: a person needs to read each once. */
export type Problem = (kind: string, message: string) => void;

type Set = (attributes: SftpAttributes) => Promise<void>;

const setIdBits = 0o6000;

export interface Applying {
  readonly sftp: SftpClient;
  readonly shell: FarShell | undefined;
  /** Where it is now, and its name for people. */
  readonly at: string;
  readonly path: string;
  readonly node: NodeAttributes;
  readonly problem: Problem;
}

/** What stands at `at` by now has to be what was restored. */
export async function applyToPath(to: Applying): Promise<void> {
  const { sftp, at, path, node } = to;
  const raw = encodeName(at);
  if (node.type === 'symlink') {
    await applyToLink(to, raw);
    return;
  }
  try {
    if (typeOf(await sftp.lstat(raw)) !== node.type) throw replaced(path);
  } catch (error) {
    throw writeFailure(path, error);
  }
  await apply((attributes) => sftp.setstat(raw, attributes), to);
}

/** The same for an object held open, which stands at `at`. */
export async function applyToHandle(to: Applying, handle: Buffer): Promise<void> {
  await apply((attributes) => to.sftp.fsetstat(handle, attributes), to);
}

/** The mtime's part below a second, if it has one. Without a shell, or with another touch, it is lost. */
export async function applyExactTime({ shell, at, path, node, problem }: Applying): Promise<void> {
  if (isWholeSeconds(node.mtimeNs)) return;
  const argv = ['touch', '-h', '-c', '-m', '-d', `@${showTimeNs(node.mtimeNs)}`, '--', at];
  if (shell && (await shell.call(argv)).status === 0) return;
  problem('exact times', `${printableName(path)} and others: times are restored to the second only`);
}

/** One after the other on the way, but none waits for the answer to the one before, unless it matters. */
async function apply(set: Set, to: Applying): Promise<void> {
  const { path, node, problem } = to;
  const owner = set({ uid: node.uid, gid: node.gid }).then(
    () => true,
    (error: unknown) => tellOwner(path, error, problem),
  );
  if (node.xattrs?.length) await owner.then(() => applyXattrs(to));
  const times = attempt(problem, 'times', path, set(timesOf(node)));
  const mode = node.mode & setIdBits && !(await owner) ? node.mode & ~setIdBits : node.mode;
  await attempt(problem, 'mode', path, set({ mode }));
  await Promise.all([owner, times]);
}

async function applyToLink(to: Applying, raw: Buffer): Promise<void> {
  const { sftp, path, node, problem } = to;
  if (!sftp.offers('lsetstat@openssh.com')) {
    problem('links', `${printableName(path)} and others: owner and times of symbolic links cannot be restored there`);
    return;
  }
  const owner = sftp
    .lsetstat(raw, { uid: node.uid, gid: node.gid })
    .catch((error: unknown) => void tellOwner(path, error, problem));
  if (node.xattrs?.length) await owner.then(() => applyXattrs(to));
  await Promise.all([owner, attempt(problem, 'times', path, sftp.lsetstat(raw, timesOf(node)))]);
}

function timesOf(node: NodeAttributes): SftpAttributes {
  return { atime: sftpSeconds(node.atimeNs), mtime: sftpSeconds(node.mtimeNs) };
}

async function applyXattrs({ shell, at, path, node, problem }: Applying): Promise<void> {
  const shown = printableName(path);
  const tell = (name: string): void =>
    problem(`attribute ${name}`, `${shown}: the extended attribute ${printableName(name)} cannot be restored`);
  if (shell) await setXattrs(shell, at, node.xattrs ?? [], tell);
  else problem('xattrs', `${shown} and others: extended attributes and ACLs are not restored over SFTP alone`);
}

function tellOwner(path: string, error: unknown, problem: Problem): false {
  const shown = printableName(path);
  problem(
    `owner ${messageOf(error)}`,
    hasStatus(error, statuses.permissionDenied)
      ? `${shown} and others: the owner cannot be restored without root; they belong to the user who signs in, and setuid bits are left out`
      : `${shown}: the owner cannot be restored: ${messageOf(error)}`,
  );
  return false;
}

async function attempt(problem: Problem, what: string, path: string, done: Promise<void>): Promise<void> {
  try {
    await done;
  } catch (error) {
    problem(`${what} ${messageOf(error)}`, `${printableName(path)}: ${what}: ${messageOf(error)}`);
  }
}

function replaced(path: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.failed',
    message: `${printableName(path)} was replaced by something else while it was restored`,
    remedy: 'Find out what else writes there, and restore to a directory of its own.',
  });
}
