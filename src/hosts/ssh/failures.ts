/** What an SFTP server refuses, as errors of this program. */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import { SftpError } from '../../protocols/sftp/client.ts';
import { statuses } from '../../protocols/sftp/packets.ts';

/** True if the server answered with this status. */
export function hasStatus(error: unknown, ...wanted: readonly number[]): boolean {
  return error instanceof SftpError && wanted.includes(error.status);
}

/** For something that was to be read: `source.missing` when it is not there, else `source.unreadable`; `host.unreachable` if the session broke. */
export function readFailure(path: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const shown = printableName(path);
  if (hasStatus(error, statuses.noSuchFile)) {
    return new HoldfastError({
      code: 'source.missing',
      message: `${shown} does not exist on the host`,
      remedy: 'Check the path; if it is on a file system of its own, check that it is mounted.',
      cause: error,
    });
  }
  if (!(error instanceof SftpError)) return broken(shown, error);
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${shown} cannot be read on the host: ${error.message}`,
    remedy: hasStatus(error, statuses.permissionDenied)
      ? 'Sign in as root, or as a user who may read it, or exclude it.'
      : 'Check the file system of the host and its messages in the kernel log.',
    cause: error,
  });
}

/** For something that was to be written. */
export function writeFailure(path: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (!(error instanceof SftpError)) return broken(printableName(path), error);
  return new HoldfastError({
    code: 'restore.failed',
    message: `${printableName(path)} cannot be written on the host: ${error.message}`,
    remedy: 'Check the rights and the free space of the target.',
    cause: error,
  });
}

function broken(shown: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `the host cannot be asked about ${shown}: ${messageOf(cause)}`,
    remedy: 'Check the network and the server; run it again when it is back.',
    retry: 'later',
    cause,
  });
}
