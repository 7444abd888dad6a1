/**
 * Puts a database back as one file. What lies at the target is kept aside with its `-wal`, `-shm` and `-journal`: one of
 * these left beside the restored file would be replayed into it by the next program that opens it.
 */
import { randomBytes } from 'node:crypto';
import { chmod, chown, type FileHandle, lstat, open, realpath, rename, rm, utimes } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, messageOf, systemCode, throwIfCancelled } from '../../base/errors.ts';
import { decodeName, systemPath } from '../../base/names.ts';
import type { Node } from '../../model/node.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { findUsers } from './in-use.ts';
import { requireLocal } from './place.ts';
import type { Settings } from './settings.ts';

/** Larger writes make the kernel look for large free pieces of memory, and were measured several times as slow. */
const writeBytes = 64 * 1024;
const sideFiles = ['-wal', '-shm', '-journal'] as const;

/**
 * Writes beside the target, flushes, moves what is there aside (`<name>.before-<time>` and its side files), renames. Until the
 * last step the target is what it was; a crash between the two renames leaves the old database under its aside name.
 * Errors: `restore.target-exists` without `overwrite`, `source.busy` if a program has the target open, `restore.failed`.
 */
export async function restore(
  source: SourceContext<Settings>,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  requireLocal(source.host);
  const { path, node } = await databaseNode(contents, source.settings.path);
  const target = await resolveTarget(request.target ?? path);
  const present = await presentFiles(target);
  if (present.includes('') && !request.overwrite) throw targetExists(target);
  if (present.includes('')) await refuseIfInUse(source, target);
  const aside = `${target}.before-${formatInstant(source.clock.nowMs()).replace(/[:.]/g, '-')}`;
  const steps = [
    `write ${formatBytes(node.size)} beside ${target} and flush it`,
    ...present.map((suffix) => `keep ${target}${suffix} aside as ${aside}${suffix}`),
    `move the restored database to ${target}`,
  ];
  if (request.dryRun) return { steps, bytes: node.size, files: 1, problems: [] };
  const problems: string[] = [];
  const bytes = await replace(source, { contents, path, node, target, aside, problems });
  return { steps, bytes, files: 1, problems };
}

/** The database file in a snapshot: at the path the snapshot names. `snapshot.path-missing`. */
export async function databaseNode(
  contents: SnapshotContents,
  configured: string,
): Promise<{ path: string; node: Node }> {
  for (const path of [...contents.paths, configured]) {
    const node = await contents.node(path);
    if (node?.type === 'file') return { path, node };
  }
  throw new HoldfastError({
    code: 'snapshot.path-missing',
    message: `snapshot ${contents.id.slice(0, 8)} holds no database file at ${contents.paths.join(', ')}`,
    remedy: 'Choose a snapshot of this source.',
  });
}

/** The directory must be there; a symlink at the target is followed, as SQLite would. */
async function resolveTarget(target: string): Promise<string> {
  if (!target.startsWith('/')) throw invalidTarget(target, 'is no absolute path');
  try {
    return decodeName(await realpath(systemPath(target), 'buffer'));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw invalidTarget(target, `cannot be used: ${messageOf(error)}`);
  }
  const link = await lstat(systemPath(target)).catch(() => undefined);
  if (link) throw invalidTarget(target, 'is a symlink that leads nowhere');
  try {
    const folder = decodeName(await realpath(systemPath(dirname(target)), 'buffer'));
    return `${folder === '/' ? '' : folder}/${basename(target)}`;
  } catch (error) {
    throw invalidTarget(target, `lies in a directory that cannot be used: ${messageOf(error)}`);
  }
}

function invalidTarget(target: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target ${target} ${why}`,
    remedy: 'Give the absolute path of a file in a directory that exists.',
  });
}

/** Which of the database (`''`) and its side files exist, the database first. */
async function presentFiles(target: string): Promise<string[]> {
  const found: string[] = [];
  for (const suffix of ['', ...sideFiles]) {
    const there = await lstat(systemPath(`${target}${suffix}`)).catch(() => undefined);
    if (there) found.push(suffix);
    if (there && !there.isFile()) throw invalidTarget(`${target}${suffix}`, 'is no regular file');
  }
  return found;
}

function targetExists(target: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `there is a file ${target}`,
    remedy: 'Choose another target, or say overwrite: the present database is then kept aside under another name.',
  });
}

async function refuseIfInUse(source: SourceContext<Settings>, target: string): Promise<void> {
  const users = await findUsers(source.host, target, source.signal);
  if (users.length === 0) return;
  throw new HoldfastError({
    code: 'source.busy',
    message: `the database ${target} is in use by ${users.join(', ')}`,
    remedy: 'Stop the program that uses it, then restore; or restore to another path.',
    retry: 'later',
  });
}

interface Replacement {
  readonly contents: SnapshotContents;
  readonly path: string;
  readonly node: Node;
  readonly target: string;
  readonly aside: string;
  readonly problems: string[];
}

async function replace(source: SourceContext<Settings>, replacement: Replacement): Promise<number> {
  const { target, aside, node, problems } = replacement;
  const beside = `${dirname(target)}/.${basename(target)}.holdfast-${randomBytes(6).toString('hex')}`;
  try {
    const bytes = await writeBeside(source, replacement, beside);
    await applyAttributes(beside, node, problems);
    // Looked at again: time has passed, and a program may have made them meanwhile.
    const present = await presentFiles(target);
    if (present.includes('')) await refuseIfInUse(source, target);
    // The database first: without it a program finds nothing, never an old database that lost its WAL.
    for (const suffix of present) await rename(systemPath(`${target}${suffix}`), systemPath(`${aside}${suffix}`));
    await rename(systemPath(beside), systemPath(target));
    await syncDirectory(dirname(target));
    return bytes;
  } catch (error) {
    await rm(systemPath(beside), { force: true });
    throw restoreFailure(target, error);
  }
}

async function writeBeside(source: SourceContext<Settings>, replacement: Replacement, beside: string): Promise<number> {
  const { contents, path, node } = replacement;
  await using file: FileHandle = await open(systemPath(beside), 'wx', 0o600);
  let bytes = 0;
  for await (const chunk of contents.read(path)) {
    throwIfCancelled(source.signal);
    for (let at = 0; at < chunk.byteLength; at += writeBytes) await file.writeFile(chunk.subarray(at, at + writeBytes));
    bytes += chunk.byteLength;
    source.report({ type: 'progress', stage: 'restore', bytesDone: bytes, bytesTotal: node.size });
  }
  if (bytes !== node.size) {
    throw new HoldfastError({
      code: 'restore.failed',
      message: `the snapshot gave ${bytes} bytes of ${path}, its entry says ${node.size}`,
      remedy: 'Check the repository, and restore another snapshot.',
    });
  }
  await file.sync();
  return bytes;
}

async function applyAttributes(path: string, node: Node, problems: string[]): Promise<void> {
  const at = systemPath(path);
  try {
    await chown(at, node.uid, node.gid);
  } catch (error) {
    problems.push(`the owner ${node.uid}:${node.gid} could not be restored: ${messageOf(error)}`);
  }
  await chmod(at, node.mode);
  await utimes(at, Number(node.atimeNs / 1_000_000n) / 1000, Number(node.mtimeNs / 1_000_000n) / 1000);
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(systemPath(path), 'r');
  await directory.sync();
}

function restoreFailure(target: string, error: unknown): unknown {
  const code = systemCode(error);
  if (error instanceof HoldfastError || code === undefined) return error;
  return new HoldfastError({
    code: 'restore.failed',
    message: `the database could not be restored to ${target}: ${code}`,
    remedy:
      code === 'ENOSPC' ? 'Free disk space, or choose another target.' : 'Check permissions of the target directory.',
    cause: error,
  });
}
