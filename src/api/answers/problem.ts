/** Errors as RFC 9457 has them. What is not an error of ours gets a number, goes to the log whole, and out as that number only. */
import { ZodError } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { type ErrorCode, errorCatalogue, HoldfastError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { sortableId } from '../../base/sortable-id.ts';
import { describeError } from '../../operations/describe-error.ts';
import type { ProblemDocument } from '../contract.ts';
import { type ProblemStatus, problemStatus } from './problem-status.ts';

interface Context {
  readonly path: string;
  /** Scheme, host and port of this server, for links. */
  readonly origin: string;
  readonly log: Log;
  readonly clock: Clock;
}

/** An error whose status says more than its code: 405, 413, 415. */
export class RequestError extends HoldfastError {
  readonly status: ProblemStatus;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: ProblemStatus, message: string, remedy: string, headers: Readonly<Record<string, string>> = {}) {
    super({ code: 'request.invalid', message, remedy });
    this.status = status;
    this.headers = headers;
  }
}

export function problemResponse(error: unknown, context: Context): Response {
  const document = problemDocument(error, context);
  const headers = new Headers({ 'content-type': 'application/problem+json', ...headersOf(error, document) });
  return new Response(JSON.stringify(document), { status: document.status, headers });
}

export function problemDocument(error: unknown, context: Context): ProblemDocument {
  const { path, origin } = context;
  if (error instanceof ZodError) return invalid(error, context);
  const known = error instanceof HoldfastError && error.code !== 'internal' ? error : undefined;
  if (!known) return fault(error, context);
  const { code, message, remedy, context: facts, problems } = describeError(known);
  return {
    type: typeOf(code, origin),
    title: errorCatalogue[code],
    status: known instanceof RequestError ? known.status : problemStatus(code),
    detail: message,
    code,
    remedy,
    instance: path,
    ...(facts ? { context: facts } : {}),
    ...(problems ? { problems: problems.map((one) => ({ ...one })) } : {}),
  };
}

/** A request that does not fit the schema of its route. */
function invalid(error: ZodError, { path, origin }: Context): ProblemDocument {
  const problems = error.issues.map((issue) => ({
    path: issue.path.map(String).join('.'),
    message: issue.message,
  }));
  const [first] = problems;
  return {
    type: typeOf('request.invalid', origin),
    title: errorCatalogue['request.invalid'],
    status: 400,
    detail: first.path === '' ? first.message : `${first.path}: ${first.message}`,
    code: 'request.invalid',
    remedy: 'See what the route takes in /api/openapi.json.',
    instance: path,
    problems,
  };
}

function fault(error: unknown, { path, origin, log, clock }: Context): ProblemDocument {
  const number = sortableId(clock.nowMs());
  log.error({ err: error, fault: number, path }, 'a request failed because of a fault in Holdfast');
  return {
    type: typeOf('internal', origin),
    title: errorCatalogue.internal,
    status: 500,
    detail: `a fault in Holdfast itself; the server's log has more under ${number}`,
    code: 'internal',
    remedy: `Look for ${number} in the server's log, and report what it says.`,
    instance: `${path}#${number}`,
  };
}

export function typeOf(code: ErrorCode, origin: string): string {
  return `${origin}/api/errors/${code}`;
}

const retryAfterSeconds = 30;

function headersOf(error: unknown, { status, code, context }: ProblemDocument): Record<string, string> {
  if (error instanceof RequestError) return error.headers;
  if (status === 401) return { 'www-authenticate': 'Bearer realm="holdfast"' };
  if (code === 'auth.limited') return { 'retry-after': String(context?.retryAfterSeconds ?? retryAfterSeconds) };
  return {};
}
