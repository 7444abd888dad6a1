/**
 * Puts a database back on another host: written beside the target and flushed, then what lies there is moved aside with its
 * side files, then the new one takes its name. `mv` of the host does the moving; everything else is the host's files.
 */
import { randomBytes } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { formatBytes } from '../../../base/bytes.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../../base/errors.ts';
import type { FileWriter, Host } from '../../../hosts/host.ts';
import type { Node } from '../../../model/node.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../../driver.ts';
import { asideName, incomplete, invalidTarget, sideFiles, targetExists, targetInUse } from '../restore-target.ts';
import type { Settings } from '../settings.ts';
import { mustRun, printed } from './far-command.ts';
import { lookAt, resolveThere } from './far-files.ts';
import { findFarUsers } from './in-use-far.ts';

export interface FarRestore {
  readonly source: SourceContext<Settings>;
  readonly contents: SnapshotContents;
  readonly request: RestoreRequest;
  /** The database in the snapshot. */
  readonly path: string;
  readonly node: Node;
  readonly host: Host;
  /** As asked for. */
  readonly target: string;
}

/** Errors: `restore.target-exists` without `overwrite`, `restore.target-invalid`, `source.busy` if a program has the target open, `restore.failed`, `host.*`. */
export async function restoreFar(restore: FarRestore): Promise<RestoreOutcome> {
  const { source, request, node, host } = restore;
  const target = await resolveTarget(host, restore.target);
  const present = await presentFiles(host, target);
  const problems: string[] = [];
  if (present.includes('') && !request.overwrite) throw targetExists(target);
  if (present.includes('')) await refuseIfInUse(host, target, source.signal, problems);
  const moves = (await printed(host, ['sh', '-c', 'command -v mv'], source.signal)) !== undefined;
  if (!moves && present.length > 0) throw cannotMove(host, target, present);
  const aside = asideName(target, source.clock.nowMs());
  const size = formatBytes(node.size);
  const steps = [
    `write ${size} ${moves ? 'beside' : 'to'} ${target} on ${host.name} and flush it`,
    ...present.map((suffix) => `keep ${target}${suffix} aside as ${aside}${suffix}`),
    ...(moves ? [`move the restored database to ${target}`] : []),
  ];
  if (request.dryRun) return { steps, bytes: node.size, files: 1, problems };
  const bytes = moves ? await replace(restore, target, aside, problems) : await writeNew(restore, target, problems);
  return { steps, bytes, files: 1, problems };
}

function cannotMove(host: Host, target: string, present: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `what lies at ${target} (${present.map((suffix) => target + suffix).join(', ')}) cannot be kept aside: no program can be run on ${host.name}`,
    remedy: 'Move these files away by hand, or restore to another path.',
  });
}

/** The directory must be there; a symlink at the target is followed, as SQLite would. */
async function resolveTarget(host: Host, target: string): Promise<string> {
  if (!target.startsWith('/') || target.endsWith('/')) throw invalidTarget(target, 'is no absolute path of a file');
  if (!target.isWellFormed())
    throw invalidTarget(target, 'has a name that is no text, which mv on the host cannot be given');
  try {
    return await resolveThere(host, target);
  } catch (error) {
    if (!hasCode(error, 'source.missing')) throw error;
  }
  if (await lookAt(host, target).catch(() => undefined)) throw invalidTarget(target, 'is a symlink that leads nowhere');
  const folder = await resolveThere(host, dirname(target)).catch((error: unknown) => {
    throw hasCode(error, 'source.missing')
      ? invalidTarget(target, `lies in a directory that ${host.name} does not have`)
      : error;
  });
  return `${folder === '/' ? '' : folder}/${basename(target)}`;
}

/** Which of the database (`''`) and its side files exist, the database first. */
async function presentFiles(host: Host, target: string): Promise<string[]> {
  const found: string[] = [];
  for (const suffix of ['', ...sideFiles]) {
    const there = await lookAt(host, `${target}${suffix}`);
    if (there) found.push(suffix);
    if (there && there.type !== 'file') throw invalidTarget(`${target}${suffix}`, 'is no regular file');
  }
  return found;
}

async function refuseIfInUse(host: Host, target: string, signal: AbortSignal, problems?: string[]): Promise<void> {
  const users = await findFarUsers(host, target, signal);
  if (users === undefined) {
    problems?.push(
      `it could not be seen whether a program on ${host.name} has the old ${target} open: it would go on writing to the file that was kept aside`,
    );
  } else if (users.length > 0) throw targetInUse(target, users);
}

/**
 * The database first: without it a program finds nothing, never an old database that lost its WAL. In one program that is not
 * cancelled, nor ended because the connection to it is lost: between two of these steps there is no database at all. What is
 * aside goes back where a step fails.
 */
const changePlaces = `trap '' HUP TERM
beside=$1; target=$2; aside=$3; shift 3
back() {
  for side in -journal -shm -wal ''; do
    [ ! -e "$aside$side" ] || mv -f "$aside$side" "$target$side"
  done
  exit 1
}
for side; do mv -f "$target$side" "$aside$side" || back; done
mv -f "$beside" "$target" || back`;

async function replace(restore: FarRestore, target: string, aside: string, problems: string[]): Promise<number> {
  const { source, host } = restore;
  const beside = `${dirname(target) === '/' ? '' : dirname(target)}/.${basename(target)}.holdfast-${randomBytes(6).toString('hex')}`;
  const bytes = await writeNew(restore, beside, problems);
  try {
    // Looked at again: time has passed, and a program may have made them meanwhile.
    const present = await presentFiles(host, target);
    if (present.includes('')) await refuseIfInUse(host, target, source.signal);
    throwIfCancelled(source.signal);
    await mustRun(host, ['sh', '-c', changePlaces, 'sh', beside, target, aside, ...present]);
    return bytes;
  } catch (error) {
    await mustRun(host, ['rm', '-f', beside]).catch(() => problems.push(`${beside} on ${host.name} was left behind`));
    throw error;
  }
}

/** A file that nobody knows of yet; gone again if it cannot be completed. */
async function writeNew(restore: FarRestore, at: string, problems: string[]): Promise<number> {
  const { source, contents, path, node, host } = restore;
  await using target = await host.openTarget(dirname(at), 'refuse');
  const writer: FileWriter = await target.createFile(at, node.size);
  let bytes = 0;
  try {
    for await (const chunk of contents.read(path)) {
      throwIfCancelled(source.signal);
      await writer.writeAt(chunk, bytes);
      bytes += chunk.byteLength;
      source.report({ type: 'progress', stage: 'restore', bytesDone: bytes, bytesTotal: node.size });
    }
    if (bytes !== node.size) throw incomplete(path, bytes, node.size);
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  await writer.close();
  await target.applyAttributes(at, { ...node, xattrs: undefined }, (message) => problems.push(message));
  await target.finish();
  return bytes;
}
