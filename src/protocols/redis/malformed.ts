/** What readers of this format say about bytes they refuse. */
import { HoldfastError } from '../../base/errors.ts';

/** Bytes that no server writes: a fault on the way, or an attack. */
export function malformed(what: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `the RDB data is damaged: ${what}`,
    remedy:
      'Try again; if it happens every time, check the server with redis-check-rdb (valkey-check-rdb) on a file it saved.',
    retry: 'later',
  });
}

/** Something a newer or another server writes, whose meaning must not be guessed. */
export function unsupportedRdb(what: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `the RDB data holds ${what}, which this version does not read`,
    remedy: 'Set "fingerprint: off" to store it as it is, without exact comparison in drills, or use a newer Holdfast.',
  });
}
