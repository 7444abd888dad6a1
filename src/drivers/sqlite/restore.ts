/**
 * Puts a database back as one file. What lies at the target is kept aside with its `-wal`, `-shm` and `-journal`: one of
 * these left beside the restored file would be replayed into it by the next program that opens it.
 */
import { randomBytes } from 'node:crypto';
import { chmod, chown, type FileHandle, lstat, open, realpath, rename, rm, utimes } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError, messageOf, systemCode, throwIfCancelled } from '../../base/errors.ts';
import { decodeName, systemPath } from '../../base/names.ts';
import type { Host } from '../../hosts/host.ts';
import type { Node } from '../../model/node.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { findUsers } from './in-use.ts';
import { isLocal } from './place.ts';
import { restoreFar } from './remote/restore-far.ts';
import {
  asideName,
  databaseNode,
  folderMissing,
  incomplete,
  invalidTarget,
  sideFiles,
  targetExists,
  targetInUse,
} from './restore-target.ts';
import type { Settings } from './settings.ts';

/** Larger writes make the kernel look for large free pieces of memory, and were measured several times as slow. */
const writeBytes = 64 * 1024;

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
  const { path, node } = await databaseNode(contents, source.settings.path);
  const place = placeOf(request, path);
  if (!isLocal(place.host)) return await restoreFar({ source, contents, request, path, node, ...place });
  const target = await resolveTarget(place.target);
  const present = await presentFiles(target);
  if (present.includes('') && !request.overwrite) throw targetExists(target);
  if (present.includes('')) await refuseIfInUse(place.host, target, source.signal);
  const aside = asideName(target, source.clock.nowMs());
  const steps = [
    `write ${formatBytes(node.size)} beside ${target} and flush it`,
    ...present.map((suffix) => `keep ${target}${suffix} aside as ${aside}${suffix}`),
    `move the restored database to ${target}`,
  ];
  if (request.dryRun) return { steps, bytes: node.size, files: 1, problems: [] };
  const problems: string[] = [];
  const bytes = await replace(source, { contents, host: place.host, path, node, target, aside, problems });
  return { steps, bytes, files: 1, problems };
}

/** Where to, and on which machine: as asked for, else the place of the source that was named, else where it came from. */
function placeOf(request: RestoreRequest, path: string): { readonly host: Host; readonly target: string } {
  const named = request.targetSource as SourceContext<Settings> | undefined;
  if (request.target !== undefined || named === undefined)
    return { host: request.host, target: request.target ?? path };
  return { host: named.host, target: named.settings.path };
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
    if (systemCode(error) === 'ENOENT') throw folderMissing(target, dirname(target));
    throw invalidTarget(target, `lies in a directory that cannot be used: ${messageOf(error)}`);
  }
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

async function refuseIfInUse(host: Host, target: string, signal: AbortSignal): Promise<void> {
  const users = await findUsers(host, target, signal);
  if (users.length > 0) throw targetInUse(target, users);
}

interface Replacement {
  readonly contents: SnapshotContents;
  readonly host: Host;
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
    if (present.includes('')) await refuseIfInUse(replacement.host, target, source.signal);
    await changePlaces({ beside, target, aside, present });
    await syncDirectory(dirname(target));
    return bytes;
  } catch (error) {
    await rm(systemPath(beside), { force: true });
    throw restoreFailure(target, error);
  }
}

interface Places {
  readonly beside: string;
  readonly target: string;
  readonly aside: string;
  readonly present: readonly string[];
}

/** The database first: without it a program finds nothing, never an old database that lost its WAL. If a step fails, what is aside goes back. */
async function changePlaces({ beside, target, aside, present }: Places): Promise<void> {
  const moved: string[] = [];
  try {
    for (const suffix of present) {
      await rename(systemPath(`${target}${suffix}`), systemPath(`${aside}${suffix}`));
      moved.unshift(suffix);
    }
    await rename(systemPath(beside), systemPath(target));
  } catch (error) {
    for (const suffix of moved) await rename(systemPath(`${aside}${suffix}`), systemPath(`${target}${suffix}`));
    throw error;
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
  if (bytes !== node.size) throw incomplete(path, bytes, node.size);
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
