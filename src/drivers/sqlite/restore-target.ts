/** What a restore of a database needs to know of its target, on this machine and on others. */
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Node } from '../../model/node.ts';
import type { SnapshotContents } from '../driver.ts';

/** Beside a database; one of these left beside a restored file would be replayed into it by the next program that opens it. */
export const sideFiles = ['-wal', '-shm', '-journal'] as const;

/** The name the present database, and each of its side files, gets when another takes its place. */
export function asideName(target: string, nowMs: number): string {
  return `${target}.before-${formatInstant(nowMs).replace(/[:.]/g, '-')}`;
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

export function invalidTarget(target: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target ${target} ${why}`,
    remedy: 'Give the absolute path of a file in a directory that exists.',
  });
}

export function folderMissing(target: string, folder: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target ${target} cannot be made: there is no directory ${folder}`,
    remedy: `Make the directory first (mkdir -p ${shellWord(folder)}), as the user its program runs as; or correct the path.`,
  });
}

export function targetExists(target: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `there is a file ${target}`,
    remedy:
      'Choose another target, or restore with --overwrite: the present database is then kept aside under another name.',
  });
}

export function targetInUse(target: string, users: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'source.busy',
    message: `the database ${target} is in use by ${users.join(', ')}`,
    remedy: 'Stop the program that uses it, then restore; or restore to another path.',
    retry: 'later',
  });
}

export function incomplete(path: string, bytes: number, expected: number): HoldfastError {
  return new HoldfastError({
    code: 'restore.failed',
    message: `the snapshot gave ${bytes} bytes of ${path}, its entry says ${expected}`,
    remedy: 'Check the repository, and restore another snapshot.',
  });
}
