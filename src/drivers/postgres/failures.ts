/** What the server says, as errors with a remedy. */
import { type ErrorCode, HoldfastError, messageOf, type Retry } from '../../base/errors.ts';

/** A lock on a table that was not granted in time; before version 15 pg_dump limits the time of the whole statement. */
export const lockConflict = /55P03|lock timeout|could not obtain lock|statement timeout.*LOCK TABLE/is;

interface Reason {
  readonly fits: RegExp;
  readonly code: ErrorCode;
  readonly why?: string;
  readonly remedy: string;
  readonly retry?: Retry;
}

const toRead =
  'GRANT pg_read_all_data TO the user of the backup (PostgreSQL 14 and newer; before: SELECT on all tables and sequences), with BYPASSRLS where there are row policies.';

/** Matched against `SQLSTATE message`, or against what a client program printed. */
const reasons: readonly Reason[] = [
  {
    fits: /No space left on device|^53100/i,
    // Before what else is said then: who was connected lost the server.
    code: 'source.unreadable',
    remedy: 'Free disk space where the message says, then run it again.',
    retry: 'later',
  },
  {
    fits: /^28P01|password authentication failed|no password supplied|client password must be a string/i,
    code: 'source.unreadable',
    why: 'the user or password is wrong',
    remedy: 'Check «password» and the user in the URL of the source.',
  },
  {
    fits: /^28|no pg_hba\.conf entry|authentication failed/i,
    code: 'source.unreadable',
    remedy: 'Allow this user and machine in the server’s pg_hba.conf, and reload the server.',
  },
  {
    fits: /^3D000|database ".*" does not exist/,
    code: 'source.missing',
    remedy: 'Check the database in the URL of the source.',
  },
  {
    fits: /conflict with recovery/i,
    code: 'source.busy',
    why: 'the standby cancelled the backup, because the changes it has to replay conflict with reading the old rows',
    remedy:
      'Set hot_standby_feedback = on at the standby (or raise max_standby_streaming_delay), or back up the primary.',
    retry: 'later',
  },
  {
    fits: /^53300|too many (?:clients|connections)|remaining connection slots/i,
    code: 'source.busy',
    remedy:
      'Raise max_connections, or lower «jobs» of the source. A backup needs three connections, and one more for every job.',
    retry: 'later',
  },
  {
    fits: /is being accessed by other users/,
    code: 'source.busy',
    remedy:
      'Stop the programs that use the database (pg_stat_activity), end its prepared transactions (pg_prepared_xacts), then run it again.',
    retry: 'later',
  },
  {
    fits: /^57P03|starting up|shutting down/i,
    code: 'source.busy',
    remedy: 'Try again when the server has started.',
    retry: 'later',
  },
  {
    fits: lockConflict,
    code: 'source.busy',
    remedy:
      'Another session holds a table exclusively, or empties one (TRUNCATE) again and again; see pg_locks. Wait for it, or raise «lockTimeoutMs».',
    retry: 'later',
  },
  {
    fits: /^53200|out of shared memory|max_locks_per_transaction/i,
    code: 'source.unsupported',
    remedy: 'Raise max_locks_per_transaction of the server: a backup locks every table (for reading) at once.',
  },
  {
    fits: /^42501|permission denied|must be (?:superuser|owner)|row-level security|query would be affected by row/i,
    code: 'source.unreadable',
    remedy: toRead,
  },
  {
    fits: /^57P0[12]|terminating connection|terminated unexpectedly|server closed the connection|connection to server was lost|SSL SYSCALL|ECONNRESET|^EPIPE|^ETIMEDOUT|^EHOSTUNREACH|Connection terminated/i,
    code: 'host.unreachable',
    remedy: 'Look at the log of the server: it, or somebody, ended the connection. Then run it again.',
    retry: 'later',
  },
];

/** `doing` completes «cannot …»: `connect to postgres://…`. Errors of ours stay as they are. */
export function explain(error: unknown, doing: string, fallback: ErrorCode = 'source.unreadable'): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const state = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return explainText(`${state} ${messageOf(error)}`.trim(), {
    doing,
    message: messageOf(error),
    fallback,
    cause: error,
  });
}

/** The same for what a program printed on stderr: its last errors. */
export function explainProgram(stderr: string, doing: string, fallback: ErrorCode): HoldfastError {
  const lines = stderr.split('\n').filter((line) => /error|fatal|detail|hint|panic/i.test(line));
  const said = (lines.length > 0 ? lines : stderr.trim().split('\n')).slice(0, 4).join('; ').slice(0, 600);
  return explainText(stderr, { doing, message: said, fallback });
}

/** The same of a restore: who lacks a right there does not lack that to read. */
export function ofRestore(error: unknown): unknown {
  if (!(error instanceof HoldfastError) || error.remedy !== toRead) return error;
  return new HoldfastError({
    code: 'restore.failed',
    message: error.message,
    remedy:
      'Restore as a superuser; or as a user with CREATEDB who is a member of every role that owns something in the database.',
    context: error.context,
    cause: error,
  });
}

function explainText(
  text: string,
  { doing, message, fallback, cause }: { doing: string; message: string; fallback: ErrorCode; cause?: unknown },
): HoldfastError {
  const reason = reasons.find(({ fits }) => fits.test(text));
  return new HoldfastError({
    code: reason?.code ?? fallback,
    message: `cannot ${doing}: ${reason?.why ?? (message || 'no reason was given')}`,
    remedy: reason?.remedy ?? 'Look at the log of the server.',
    retry: reason?.retry,
    context: reason?.why === undefined ? {} : { said: message.slice(0, 300) },
    cause,
  });
}
