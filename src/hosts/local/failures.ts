/** System errors of the local file system as errors of this program. */
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';

/** For something that was to be read: `source.missing` when it is not there, else `source.unreadable`. */
export function readFailure(path: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const shown = printableName(path);
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new HoldfastError({
      code: 'source.missing',
      message: `${shown} does not exist`,
      remedy: 'Check the path; if it is on a file system of its own, check that it is mounted.',
      cause: error,
    });
  }
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${shown} cannot be read: ${code ?? messageOf(error)}`,
    remedy: remedies[code ?? ''] ?? 'Check the file system and its messages in the kernel log.',
    cause: error,
  });
}

const remedies: Readonly<Record<string, string>> = {
  EACCES: 'Run as root, or as a user who may read it, or exclude it.',
  EPERM: 'Run as root, or as a user who may read it, or exclude it.',
  EIO: 'The disk or the network file system reports an error: check the kernel log.',
  ELOOP: 'It was replaced by a symbolic link while it was examined; run the backup again.',
};

/** For a file of a database that this process has open: to read it here would cost it its locks, and a plain copy may be torn. */
export function ownDatabase(path: string, database: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${printableName(path)} is not read as a file: Holdfast itself works with the database ${printableName(database)}`,
    remedy: `Back it up as a source of its own ({ driver: sqlite, path: ${printableName(database)} }, see docs/catalogue.md), and exclude ${printableName(database)}* here.`,
  });
}

/** For a file of a database that this process has open, which a restore was to change or to replace. */
export function ownDatabaseTarget(path: string, database: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `${printableName(path)} is not written: Holdfast itself works with the database ${printableName(database)}`,
    remedy: 'Restore to another directory; stop the server; then put the file in its place.',
  });
}

/** For something that was to be written. */
export function writeFailure(path: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const code = systemCode(error);
  return new HoldfastError({
    code: 'restore.failed',
    message: `${printableName(path)} cannot be written: ${code ?? messageOf(error)}`,
    remedy:
      code === 'ENOSPC' || code === 'EDQUOT'
        ? 'Make room on the target, or restore elsewhere.'
        : 'Check the rights and the file system of the target.',
    cause: error,
  });
}
