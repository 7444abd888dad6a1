/** What servers and the client say when something is wrong, in words a person can act on. */
import { MongoError, MongoNetworkError, MongoServerError, MongoServerSelectionError } from 'mongodb';
import { type ErrorCode, HoldfastError, messageOf, type Retry, systemCode } from '../../base/errors.ts';

interface Reason {
  readonly code: ErrorCode;
  readonly why: string;
  readonly remedy: string;
  readonly retry?: Retry;
}

const stateChange: Reason = {
  code: 'source.changed',
  why: 'the member changed its role (an election, a stepdown or a rollback)',
  remedy: 'Back the source up again; it goes on with the members as they are then.',
  retry: 'later',
};
const snapshotGone: Reason = {
  code: 'source.changed',
  why: 'the server no longer keeps the state that was being read',
  remedy:
    'Raise minSnapshotHistoryWindowInSeconds of the server (default 300) to more than a backup takes, or set «consistency: oplog».',
  retry: 'later',
};
const cursorGone: Reason = {
  code: 'source.changed',
  why: 'the server dropped the cursor that was being read',
  remedy: 'Back the source up again; if it happens each time, look at the log of the server.',
  retry: 'later',
};

/** Codes of the server: https://github.com/mongodb/mongo, src/mongo/base/error_codes.yml. */
const reasons: Readonly<Record<number, Reason>> = {
  13: {
    code: 'source.unreadable',
    why: 'the user may not do this',
    remedy: 'Grant the role «backup» (for restores: «restore») on the database admin, see docs/drivers/mongodb.md.',
  },
  18: {
    code: 'source.unreadable',
    why: 'the user or password is wrong',
    remedy: 'Check the user in the URL, «password», and authSource (the database the user was created in).',
  },
  43: cursorGone,
  237: cursorGone,
  136: {
    code: 'source.changed',
    why: 'a capped collection was overwritten faster than it could be read',
    remedy: 'Back up at a quieter time, or leave the collection out with «excludeCollections».',
    retry: 'later',
  },
  239: snapshotGone,
  246: snapshotGone,
  91: stateChange,
  189: stateChange,
  10107: stateChange,
  11600: stateChange,
  11602: stateChange,
  13435: stateChange,
  13436: stateChange,
};

/** `place` and `doing` name the thing: `mongodb://db:27017 refuses find in shop.orders: …`. Errors of ours pass as they are. */
export function failureOf(place: string, doing: string, error: unknown): unknown {
  if (error instanceof HoldfastError) return error;
  if (error instanceof MongoServerError) return refusal(place, doing, error);
  const isNetwork =
    error instanceof MongoNetworkError || error instanceof MongoServerSelectionError || isOfSocket(error);
  if (!isNetwork && !(error instanceof MongoError)) return error;
  if (!isNetwork) return new HoldfastError({ ...other(place, doing, error), cause: error });
  return new HoldfastError({
    code: 'host.unreachable',
    message: `no connection to ${place} (${doing}): ${innermost(error)}`,
    remedy:
      'Check the address, that the server runs and listens there, and for TLS that tls.ca holds who signed its certificate.',
    retry: 'later',
    cause: error,
  });
}

function refusal(place: string, doing: string, error: MongoServerError): HoldfastError {
  const reason = typeof error.code === 'number' ? reasons[error.code] : undefined;
  const { code, remedy, retry, why } = reason ?? {
    ...other(place, doing, error),
    why: error.message,
    retry: undefined,
  };
  return new HoldfastError({
    code,
    message: `${place} refuses ${doing}: ${why}`,
    remedy,
    retry,
    context: { reply: error.message.slice(0, 300), ...(typeof error.code === 'number' && { serverCode: error.code }) },
    cause: error,
  });
}

function other(place: string, doing: string, error: Error): { code: ErrorCode; message: string; remedy: string } {
  return {
    code: 'source.unreadable',
    message: `${place} fails at ${doing}: ${error.message}`,
    remedy: 'Look at the log of the server.',
  };
}

/** The client passes on as it is what breaks a connection while it waits to write. */
function isOfSocket(error: unknown): error is Error {
  return ['EPIPE', 'ECONNRESET', 'ECONNABORTED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETDOWN'].includes(
    systemCode(error) ?? '',
  );
}

/** The client wraps what the socket said more than once. */
function innermost(error: Error): string {
  let at: Error = error;
  while (at.cause instanceof Error) at = at.cause;
  return messageOf(at);
}
