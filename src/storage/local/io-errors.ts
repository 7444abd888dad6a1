/** Turns errors of the file system into errors an operator can act on. */
import { getSystemErrorMessage } from 'node:util';
import { type ErrorCode, HoldfastError, messageOf, type Retry, systemCode } from '../../base/errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retry?: Retry;
}

const full = 'Free space on that file system, or raise the quota, then run it again; what was stored so far is kept.';
const denied = 'Give the user Holdfast runs as read and write access to that directory and everything in it.';
const away = 'The file system does not answer: check that the disk or the NAS is connected and mounted.';
const files = 'Raise the limit of open files (ulimit -n, LimitNOFILE).';

/** By errno name. Whatever is not here is `storage.io`. */
const meanings: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: 'storage.full', remedy: full },
  EDQUOT: { code: 'storage.full', remedy: full },
  EFBIG: { code: 'storage.full', remedy: 'The file system or a limit (ulimit -f) does not allow files of that size.' },
  EACCES: { code: 'storage.denied', remedy: denied },
  EPERM: { code: 'storage.denied', remedy: denied },
  EROFS: {
    code: 'storage.denied',
    remedy: 'The file system is mounted read-only: mount it writable, or check its disk.',
  },
  ENOENT: { code: 'storage.not-found', remedy: 'Check that nothing else removes files from the repository.' },
  ESTALE: { code: 'storage.unreachable', remedy: away, retry: 'later' },
  ENOTCONN: { code: 'storage.unreachable', remedy: away, retry: 'later' },
  ETIMEDOUT: { code: 'storage.unreachable', remedy: away, retry: 'later' },
  EHOSTDOWN: { code: 'storage.unreachable', remedy: away, retry: 'later' },
  EHOSTUNREACH: { code: 'storage.unreachable', remedy: away, retry: 'later' },
  EMFILE: { code: 'storage.io', remedy: files, retry: 'later' },
  ENFILE: { code: 'storage.io', remedy: files, retry: 'later' },
};

const unknown: Meaning = {
  code: 'storage.io',
  remedy: 'Look for disk errors in the system log (dmesg) and at the health of the disk, then check the repository.',
};

/** `doing` completes «cannot …», e.g. `write data/ab/…`. A HoldfastError comes back as it is. */
export function localError(error: unknown, doing: string, root: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const errno = systemCode(error);
  const meaning = (errno === undefined ? undefined : meanings[errno]) ?? unknown;
  return new HoldfastError({
    ...meaning,
    message: `cannot ${doing} in ${root}: ${reasonOf(error, errno)}`,
    context: errno === undefined ? undefined : { errno },
    cause: error,
  });
}

/** The system's own words without the path and call Node adds: the message names the thing already. */
function reasonOf(error: unknown, errno: string | undefined): string {
  if (errno !== undefined && error instanceof Error && 'errno' in error && typeof error.errno === 'number') {
    return `${getSystemErrorMessage(error.errno)} (${errno})`;
  }
  return messageOf(error);
}

/** True if the error means that there is no such file. */
export function isAbsent(error: unknown): boolean {
  const errno = systemCode(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}

/** True if the file system cannot do what was asked at all. */
export function isUnsupported(error: unknown): boolean {
  return ['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENOTTY'].includes(systemCode(error) ?? '');
}

export function objectTooShort(name: string, root: string, end: number, sizeBytes: number): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the object ${name} in ${root} ends at byte ${sizeBytes}; bytes up to ${end} were asked for`,
    remedy: 'Check the repository: the file is shorter than it should be.',
    context: { name, sizeBytes, end },
  });
}
