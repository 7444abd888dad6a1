/** What an SFTP server refuses, and connections that fail, as errors an operator can act on. */
import { type ErrorCode, HoldfastError, messageOf, type Retry } from '../../base/errors.ts';
import { SftpError } from '../../protocols/sftp/client.ts';
import { statuses } from '../../protocols/sftp/packets.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retry?: Retry;
}

const meanings = new Map<number, Meaning>([
  [
    statuses.noSuchFile,
    { code: 'storage.not-found', remedy: 'Check that nothing else removes files from the repository.' },
  ],
  [
    statuses.permissionDenied,
    {
      code: 'storage.denied',
      remedy: 'Give the user who signs in read and write access to that directory and all in it.',
    },
  ],
  [
    statuses.unsupported,
    {
      code: 'storage.io',
      remedy: 'The SFTP server lacks a function that is needed: use OpenSSH’s, or its newer version.',
    },
  ],
]);

const unknown: Meaning = {
  code: 'storage.io',
  remedy:
    'The server does not say why. Usual reasons: a quota that is used up, a failing disk, a file system mounted read-only. Look at its log and at the disk.',
};

const network = 'Check the network and the server; run it again when it is back. What was stored so far is kept.';

/** True if the server answered with this status. */
export function hasStatus(error: unknown, ...wanted: readonly number[]): boolean {
  return error instanceof SftpError && wanted.includes(error.status);
}

/** `doing` completes «cannot …», e.g. `write data/ab/…`. */
export function sftpFailure(error: unknown, doing: string, place: string): HoldfastError {
  if (error instanceof HoldfastError) return asStorageError(error, place);
  const message = `cannot ${doing} in ${place}: ${messageOf(error)}`;
  if (error instanceof SftpError) {
    return new HoldfastError({ ...(meanings.get(error.status) ?? unknown), message, cause: error });
  }
  return new HoldfastError({ code: 'storage.unreachable', message, remedy: network, retry: 'later', cause: error });
}

/** Errors of the SSH connection speak of hosts; of a storage they are the storage's. */
function asStorageError(error: HoldfastError, place: string): HoldfastError {
  if (!error.code.startsWith('host.')) return error;
  const refused = isSignInRefusal(error.cause);
  const { remedy, retry, cause } = error;
  const message = `${place}: ${error.message}`;
  return new HoldfastError({ code: refused ? 'storage.denied' : 'storage.unreachable', message, remedy, retry, cause });
}

function isSignInRefusal(cause: unknown): boolean {
  return cause instanceof Error && 'level' in cause && cause.level === 'client-authentication';
}

export function directoryAway(place: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `the directory of ${place} ${why}`,
    remedy: 'Is its disk mounted on the server? Mount it, or correct the path; nothing was written there.',
  });
}

export function cannotReplace(name: string, place: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the object ${name} in ${place} cannot be replaced: this SFTP server has no atomic rename`,
    remedy: 'It was kept as it is. Use a server that has posix-rename@openssh.com, such as OpenSSH.',
    context: { name },
  });
}

export function storageFull(doing: string, place: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'storage.full',
    message: `cannot ${doing} in ${place}: its file system has no space left`,
    remedy: 'Free space on that file system, then run it again; what was stored so far is kept.',
    cause,
  });
}

export function readOnly(doing: string, place: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'storage.denied',
    message: `cannot ${doing} in ${place}: its file system is mounted read-only`,
    remedy: 'Mount it writable on the server, or check its disk: some turn read-only when they fail.',
    cause,
  });
}
