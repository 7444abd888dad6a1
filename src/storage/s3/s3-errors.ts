/** Turns what an S3 service answers, or that it does not, into errors an operator can act on. Never holds a key or a signature. */
import { type ErrorCode, HoldfastError, messageOf, type Retry, systemCode } from '../../base/errors.ts';
import { ExchangeError, type HttpReply } from '../../protocols/http/exchange.ts';
import { isPassingNetworkError, isPassingStatus, parseHttpDate, parseRetryAfter, retryAfterMs } from '../retry.ts';
import type { ServiceError } from './replies.ts';

/** What is asked of whom, for messages. */
export interface Asking {
  /** Completes «cannot …», e.g. `write data/ab/…`. */
  readonly doing: string;
  readonly location: string;
  readonly bucket: string;
  /** The region the request was signed for. */
  readonly region: string;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retry?: Retry;
}

const wrongKey: Meaning = {
  code: 'storage.denied',
  remedy:
    'Check accessKeyId (or AWS_ACCESS_KEY_ID): the service does not know this key. Keys belong to one service and account.',
};
const wrongSecret: Meaning = {
  code: 'storage.denied',
  remedy:
    'Check secretAccessKey (or AWS_SECRET_ACCESS_KEY), also for spaces at its end; it does not belong to the access key.',
};
const expired: Meaning = {
  code: 'storage.denied',
  remedy:
    'These temporary keys are over or not valid: get new ones, or let Holdfast get them itself (profile, roleArn).',
};
const refused: Meaning = {
  code: 'storage.denied',
  remedy:
    'Allow these keys s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on what lies below the prefix.',
};
const noBucket: Meaning = {
  code: 'storage.not-found',
  remedy:
    'Check the bucket’s name and the endpoint. A new bucket is made by holdfast repo init, or in the service’s console.',
};
const busy: Meaning = {
  code: 'storage.unreachable',
  remedy: 'The service is overloaded or limits how often it is asked: lower s3.concurrency, or run it again later.',
  retry: 'later',
};
const fault: Meaning = {
  code: 'storage.unreachable',
  remedy: 'The service has a fault of its own: run it again later, and look at the service’s status page.',
  retry: 'later',
};
const full: Meaning = {
  code: 'storage.full',
  remedy: 'Raise the quota of the bucket or account, or free space, then run it again; what was stored so far is kept.',
};
const onTheWay: Meaning = {
  code: 'storage.io',
  remedy:
    'Bytes were changed on their way to the service. If it happens again, check memory and network hardware, and proxies.',
  retry: 'now',
};
const archived: Meaning = {
  code: 'storage.io',
  remedy:
    'The object lies in an archive class: restore it there first, and keep repositories in classes that can be read at once.',
};
const locked: Meaning = {
  code: 'storage.denied',
  remedy: 'The object is under Object Lock or a legal hold: it can be removed when that ends.',
};

/** By the service's own code. */
const meanings: Readonly<Record<string, Meaning>> = {
  InvalidAccessKeyId: wrongKey,
  SignatureDoesNotMatch: wrongSecret,
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  InvalidToken: expired,
  TokenRefreshRequired: expired,
  AccessDenied: refused,
  AllAccessDisabled: refused,
  AccountProblem: { code: 'storage.denied', remedy: 'The service has closed this account: ask it why.' },
  NoSuchBucket: noBucket,
  NoSuchKey: { code: 'storage.not-found', remedy: 'Check that nothing else removes objects from the repository.' },
  SlowDown: busy,
  SlowDownRead: busy,
  SlowDownWrite: busy,
  TooManyRequests: busy,
  ThrottlingException: busy,
  RequestLimitExceeded: busy,
  ServiceUnavailable: busy,
  RequestTimeout: fault,
  InternalError: fault,
  OperationAborted: busy,
  ConditionalRequestConflict: busy,
  BadDigest: onTheWay,
  XAmzContentSHA256Mismatch: onTheWay,
  IncompleteBody: { ...fault, retry: 'now' },
  QuotaExceeded: full,
  StorageFull: full,
  XMinioStorageFull: full,
  XMinioAdminBucketQuotaExceeded: full,
  InsufficientCapacity: full,
  InvalidObjectState: archived,
  ObjectLocked: locked,
};

/** By the status, where the service gives no code we know. */
function meaningOfStatus(status: number): Meaning {
  if (status === 401 || status === 403) return refused;
  if (status === 404) return { ...noBucket, remedy: 'Check the bucket’s name, the prefix and the endpoint.' };
  if (status === 413 || status === 507) return full;
  if (status === 429 || status === 503) return busy;
  if (isPassingStatus(status)) return fault;
  if (status === 307)
    return { ...busy, remedy: 'A bucket made a moment ago is not known everywhere yet: run it again later.' };
  return {
    code: 'storage.io',
    remedy: 'Check the endpoint: does it speak S3? If so, look into the service’s log; try pathStyle: true or false.',
  };
}

/** The error an answer means. */
export function errorOfReply(
  reply: HttpReply,
  said: ServiceError | undefined,
  asking: Asking,
  nowMs: number,
): HoldfastError {
  const skew = said?.code === 'RequestTimeTooSkewed' ? skewMeaning(reply, nowMs) : undefined;
  const known = said?.code === undefined ? undefined : meanings[said.code];
  const meaning = wrongRegion(reply, said, asking) ?? skew ?? known ?? meaningOfStatus(reply.status);
  const words = [said?.code, said?.message].filter((part) => part !== undefined && part !== '').join(': ');
  const askedMs = parseRetryAfter(header(reply, 'retry-after'), nowMs);
  const requestId = header(reply, 'x-amz-request-id');
  return new HoldfastError({
    ...meaning,
    message: `cannot ${asking.doing} in ${asking.location}: ${words === '' ? `HTTP status ${reply.status}` : shortened(words)}`,
    context: {
      status: reply.status,
      ...(said?.code === undefined ? {} : { serviceCode: said.code }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(askedMs === undefined ? {} : { [retryAfterMs]: askedMs }),
    },
  });
}

/** The region the service names because it is another one than was asked. */
export function regionOf(reply: HttpReply, said: ServiceError | undefined, region: string): string | undefined {
  if (![301, 307, 400, 403].includes(reply.status)) return undefined;
  const named = header(reply, 'x-amz-bucket-region') ?? said?.region;
  return named !== undefined && /^[a-z0-9-]{1,40}$/.test(named) && named !== region ? named : undefined;
}

function wrongRegion(reply: HttpReply, said: ServiceError | undefined, asking: Asking): Meaning | undefined {
  const named = regionOf(reply, said, asking.region);
  if (named !== undefined) {
    return {
      code: 'storage.denied',
      remedy: `The bucket ${asking.bucket} is in the region ${named}, not ${asking.region}: set s3.region to ${named}, or to auto.`,
    };
  }
  const codes = [
    'AuthorizationHeaderMalformed',
    'PermanentRedirect',
    'IllegalLocationConstraintException',
    'InvalidRegion',
  ];
  if (!codes.includes(said?.code ?? '') && reply.status !== 301) return undefined;
  return {
    code: 'storage.denied',
    remedy: `Set s3.region to the region of the bucket ${asking.bucket}, and use that region’s endpoint; ${asking.region} is not it.`,
  };
}

function skewMeaning(reply: HttpReply, nowMs: number): Meaning {
  const there = parseHttpDate(header(reply, 'date') ?? '');
  const minutes = there === undefined ? undefined : Math.round((nowMs - there) / 60_000);
  const by = minutes === undefined ? '' : ` by ${Math.abs(minutes)} minutes (it is ${minutes > 0 ? 'fast' : 'slow'})`;
  return {
    code: 'storage.denied',
    remedy: `The clock of this machine differs from the service’s${by}: set it, best by NTP. Times of snapshots come from it, too.`,
  };
}

/** The error of a request that got no answer, or not all of one. A HoldfastError comes back as it is. */
export function errorOfExchange(error: unknown, asking: Asking): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const code = systemCode(error);
  const stale = error instanceof ExchangeError && error.reused && (code === 'ECONNRESET' || code === 'EPIPE');
  const passing = isPassingNetworkError(code);
  const retry: Retry = stale ? 'now' : passing ? 'later' : 'never';
  return new HoldfastError({
    code: code === 'EMSGSIZE' ? 'storage.io' : 'storage.unreachable',
    message: `cannot ${asking.doing} in ${asking.location}: ${messageOf(error)}`,
    remedy: remedyOf(code),
    retry,
    context: code === undefined ? undefined : { errno: code },
    cause: error,
  });
}

function remedyOf(code = ''): string {
  if (code === 'ENOTFOUND')
    return 'No such host: check the endpoint, and pathStyle: true if the bucket’s name was put before it.';
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code)) {
    return 'The certificate is not trusted: name its authority’s file in s3.ca, and use the host name the certificate is for.';
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL') || code.startsWith('HPE_')) {
    return 'The endpoint does not speak as expected: check http:// or https:// in the URL, and the port.';
  }
  if (code === 'ETIMEDOUT') return 'Check network and firewall, or raise s3.timeoutSeconds for a slow service.';
  if (code === 'EMSGSIZE') return 'The service sent more than was asked for: something between is not an S3 service.';
  return 'Check the endpoint, the network and that the service runs, then run it again.';
}

export function header(reply: Pick<HttpReply, 'headers'>, name: string): string | undefined {
  const value = reply.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Services repeat what they were sent at length; one line is enough. */
function shortened(words: string): string {
  const line = words.replace(/\s+/g, ' ').trim().replace(/\.$/, '');
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

/** An answer that S3 does not give. `retry`: where it may have been changed on the way. */
export function unexpectedReply(doing: string, location: string, why: string, retry: Retry = 'never'): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `cannot ${doing} in ${location}: ${why}`,
    remedy: 'The service does not do what S3 promises: check the endpoint, and that no proxy changes its answers.',
    retry,
  });
}
