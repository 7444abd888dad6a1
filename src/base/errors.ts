/**
 * The one error type of Holdfast. A message says what failed on which thing, as the operator names it;
 * the remedy is the next action a person can take. Faces map codes to exit status or HTTP status.
 */

/** Every error code with what it means. Docs and exit statuses derive from this list; codes are never renamed. */
export const errorCatalogue = {
  // usage and configuration: exit status 2
  'usage.invalid': 'The command line is not understood.',
  'config.missing': 'The configuration file does not exist.',
  'config.invalid': 'The configuration has an error; the message names file, line, column and path.',
  'config.unknown-name': 'A repository, source, policy or host of that name is not declared.',
  'secret.unavailable': 'A secret could not be read from the place the configuration names.',
  // storage
  'storage.unreachable': 'The storage did not answer.',
  'storage.not-found': 'An object that should exist does not.',
  'storage.exists': 'An object that must not exist yet does.',
  'storage.denied': 'The storage refused access.',
  'storage.full': 'The storage has no space left.',
  'storage.io': 'The storage reported an input/output error.',
  'storage.unprotected': 'The storage does not keep or hold objects as it was asked to.',
  // repository
  'repository.missing': 'There is no repository at this place.',
  'repository.exists': 'There is a repository at this place already.',
  'repository.wrong-password': 'No key of the repository opens with this password.',
  'repository.locked': 'Another process holds a lock that excludes this operation.',
  'repository.lock-lost': 'The lock on the repository could not be kept; the operation was stopped.',
  'repository.damaged': 'Stored bytes are not what they should be.',
  'repository.unsupported': 'The repository uses a format or feature this version does not know.',
  'repository.self-check':
    'What was about to be stored did not read back as what was given: a hardware or software fault.',
  'snapshot.unknown': 'No snapshot matches.',
  'snapshot.ambiguous': 'Several snapshots match.',
  'snapshot.path-missing': 'The snapshot holds no such path.',
  'snapshot.protected': 'The snapshot is pinned, the newest good or the newest proven one, and is not removed.',
  'key.unknown': 'No key matches.',
  'key.last': 'The last key of a repository, or the one in use, is not removed.',
  // sources
  'source.missing': 'The source does not exist.',
  'source.unreadable': 'The source, or a part of it, cannot be read.',
  'source.unsupported': 'The source is of a kind or in a state that cannot be backed up consistently.',
  'source.busy': 'The source is too busy or locked for a consistent copy within the allowed time.',
  'source.changed': 'The source changed while it was read.',
  'driver.unknown': 'No driver of that name.',
  // hosts
  'host.unreachable': 'The host did not answer.',
  'host.command-failed': 'A command on the host ended with an error.',
  'host.command-missing': 'A command that is needed is not installed on the host.',
  // restore and drill
  'restore.target-exists': 'The target of the restore exists already.',
  'restore.target-invalid': 'The target of the restore cannot be used.',
  'restore.failed': 'Something could not be restored.',
  'drill.failed': 'The restored copy is not what the backup recorded.',
  // the platform
  'catalogue.unreachable': 'The catalogue cannot be opened.',
  'catalogue.newer': 'The catalogue was made by a newer version.',
  'run.unknown': 'No run matches.',
  'run.ended': 'The run has ended already.',
  'run.lost': 'The run ended without saying how: its process or its machine died.',
  'run.missed': 'The run was due, and its time went by.',
  'run.timeout': 'The run took longer than it may.',
  'run.conflict': 'Something else is being done with the same source or repository.',
  'auth.required': 'Nobody is signed in.',
  'auth.refused': 'The sign-in was refused.',
  'auth.forbidden': 'The role does not allow this.',
  'auth.limited': 'Too many attempts.',
  'auth.provider': 'The provider of identities did not answer, or not as it should.',
  'user.unknown': 'No user, token or session matches.',
  'object.unknown': 'There is no entry of that name.',
  'object.owned': 'The entry belongs to the configuration file and is changed there.',
  'request.invalid': 'The request is not what the API takes.',
  'request.conflict': 'The same idempotency key was used for another request.',
  'channel.failed': 'A notification could not be delivered.',
  'agent.unknown': 'No agent of that name.',
  'agent.refused': 'The agent or the server is not who it should be.',
  'agent.away': 'The agent is not connected.',
  // general
  cancelled: 'The operation was cancelled.',
  internal: 'A fault in Holdfast itself.',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof errorCatalogue;

/** never: the same call fails again · later: may succeed after a while (back off) · now: a transient fault. */
export type Retry = 'never' | 'later' | 'now';

export interface ErrorDetails {
  readonly code: ErrorCode;
  /** What failed, on which thing. One sentence, no secrets, no trailing full stop. */
  readonly message: string;
  /** The next action that helps. */
  readonly remedy: string;
  readonly retry?: Retry;
  /** Facts for logs and `--json`; never secrets. */
  readonly context?: Readonly<Record<string, string | number | boolean>>;
  readonly cause?: unknown;
}

export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retry: Retry;
  readonly context: Readonly<Record<string, string | number | boolean>>;

  constructor(details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HoldfastError';
    this.code = details.code;
    this.remedy = details.remedy;
    this.retry = details.retry ?? 'never';
    this.context = details.context ?? {};
  }
}

/** True if `error` is a HoldfastError with one of the codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is HoldfastError {
  return error instanceof HoldfastError && codes.includes(error.code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The `errno` name (`ENOENT`, `ENOSPC`, …) of a system error, if it is one. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** Throws if the signal is aborted: what it was aborted for. Cheap enough for loops over blocks. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}

/** What an aborted signal is aborted for: its reason if that is an error of ours (a lock was lost), else `cancelled`. */
export function reasonOf(signal: AbortSignal | undefined): HoldfastError {
  const reason: unknown = signal?.reason;
  return reason instanceof HoldfastError ? reason : cancelled(reason);
}

export function cancelled(cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'cancelled',
    message: 'cancelled',
    remedy: 'Run it again: what was stored so far is kept and is not stored twice.',
    cause,
  });
}
