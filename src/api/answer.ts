/**
 * From a request to its answer, the same way for every route:
 *
 *     recognise → same origin (cookies) → role anywhere → read → what it concerns → role there → once → perform → audit
 *
 * Whoever may not do it learns nothing of what the request would have meant.
 */

import { type AuditFacts, type Authenticated, authenticate, recordAudit, refuseCrossSite } from '../auth/index.ts';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { silent } from '../model/run.ts';
import { RequestError } from './answers/problem.ts';
import { jsonResponse, respond } from './answers/respond.ts';
import { isEverywhere, requireDeclaredPlace, requireSomewhere, requireSubject } from './authorize.ts';
import { findSubject, withIds } from './find-subject.ts';
import { type Kept, once, requireKey } from './idempotency.ts';
import type { ApiParts, ApiUses, RequestFacts } from './parts.ts';
import { readInput } from './requests/read-input.ts';
import { type Call, isUnsafe, type Route } from './route.ts';

export interface Asked {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly facts: RequestFacts;
}

const nobody: Authenticated = { principal: { kind: 'user', name: 'nobody', roles: new Map() } };

/** Throws what becomes a problem document. */
export async function answer(route: Route, asked: Asked, parts: ApiParts): Promise<Response> {
  const { request, facts } = asked;
  const caller = await recognise(route, asked, parts);
  const { principal } = caller;
  try {
    requireSomewhere(principal, route.access);
    const given = await readInput(route, { ...asked, mostBodyBytes: parts.settings.mostBodyBytes });
    const uses = usesFor(route, asked, caller, parts);
    const input = await authorised(route, given, uses);
    const call: Call = { caller, uses, facts, parts, request };
    const response = await performOnce(route, { input, given, call });
    await audit(route, input, call, 'done');
    return response;
  } catch (error) {
    const refused = error instanceof HoldfastError && /^auth\./.test(error.code);
    await auditFailure(route, { error, facts, actor: principal.name, refused }, parts);
    throw error;
  }
}

async function recognise(route: Route, { request, facts }: Asked, parts: ApiParts): Promise<Authenticated> {
  const caller = route.access === 'anyone' ? nobody : await authenticate(facts.credentials, parts);
  // A browser sends its cookie whoever made it send the request, and signs in as whoever told it to.
  if (caller.token === undefined) {
    const origin = request.headers.get('origin') ?? undefined;
    const fetchSite = request.headers.get('sec-fetch-site') ?? undefined;
    const cookies = request.headers.has('cookie');
    refuseCrossSite({ method: request.method, origin, fetchSite, cookies }, [facts.origin]);
  }
  return caller;
}

/** What changes something goes on when the caller hangs up; what only reads does not. */
function usesFor(route: Route, { request, facts }: Asked, { principal }: Authenticated, parts: ApiParts): ApiUses {
  const { clock, catalogue, stopping } = parts;
  const signal = isUnsafe(route.method) ? stopping : AbortSignal.any([stopping, request.signal]);
  return { ...parts.access(), clock, signal, report: silent, catalogue, principal, address: facts.address };
}

/** The input, with snapshots by their full ids where it was looked up whose they are. */
async function authorised(
  route: Route,
  given: Record<string, unknown>,
  uses: ApiUses,
): Promise<Record<string, unknown>> {
  const { access } = route;
  if (access === 'anyone') return given;
  const { principal, config } = uses;
  const needed = access === 'signed-in' ? 'viewer' : access;
  const { snapshots: named, together, targets, in: place, ...plain } = route.where(given);
  const isSource = (target: string): boolean => config.sources.has(target);
  const sources = [...(plain.sources ?? []), ...(targets ?? []).filter(isSource)];
  const snapshots = [...(named ?? []), ...(targets ?? []).filter((one) => !isSource(one))];
  if (place !== undefined) requireDeclaredPlace(principal, place, config);
  requireSubject(principal, needed, { ...plain, sources }, config);
  if (snapshots.length === 0 || isEverywhere(principal, needed)) return given;
  const found = await findSubject({ snapshots, together, in: place }, uses);
  requireSubject(principal, needed, found.subject, config);
  return withIds(given, found.ids);
}

interface Performance {
  readonly input: Record<string, unknown>;
  /** As it was read, for the idempotency key. */
  readonly given: Record<string, unknown>;
  readonly call: Call;
}

async function performOnce(route: Route, { input, given, call }: Performance): Promise<Response> {
  const key = call.request.headers.get('idempotency-key');
  if (key === null || !isUnsafe(route.method)) return await respond(route, input, call);
  if (!isRepeatable(route)) {
    throw new RequestError(
      400,
      'this route takes no idempotency key: its answer is told only once and not kept',
      'Send the request without Idempotency-Key.',
    );
  }
  const { catalogue, principal } = call.uses;
  const said = JSON.stringify([route.method, route.path, Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1))]);
  const ask = { catalogue, nowMs: call.parts.clock.nowMs(), actor: principal.name, key: requireKey(key), said };
  return jsonResponse(await once(ask, async () => await keptOf(await respond(route, input, call))));
}

export function isRepeatable(route: Route): boolean {
  return isUnsafe(route.method) && route.access !== 'anyone' && route.secret !== true && route.answer.form !== 'stream';
}

async function keptOf(response: Response): Promise<Kept> {
  const body = await response.text();
  return { status: response.status, ...(body === '' ? {} : { body }) };
}

async function audit(route: Route, input: unknown, call: Call, outcome: AuditFacts['outcome']): Promise<void> {
  if (!isUnsafe(route.method) || route.unaudited || route.auditsItself) return;
  const { facts, uses, parts } = call;
  const subject = subjectText(route, input);
  await recordAudit(
    {
      actor: uses.principal.name,
      action: route.operation ?? route.id,
      ...(subject === '' ? {} : { subject }),
      outcome,
      address: facts.address,
      facts: {},
    },
    parts,
  );
}

function subjectText(route: Route, input: unknown): string {
  const { sources = [], repositories = [], policies = [], snapshots = [], targets = [] } = route.where(input);
  return [...sources, ...targets, ...repositories, ...policies, ...snapshots, idOf(input)]
    .filter((one) => one !== '')
    .join(' ')
    .slice(0, 500);
}

/** Of a run, a session, … */
function idOf(input: unknown): string {
  const { id, session, passkey } = input as { id?: unknown; session?: unknown; passkey?: unknown };
  return String(id ?? session ?? passkey ?? '');
}

interface Failure {
  readonly error: unknown;
  readonly facts: RequestFacts;
  readonly actor: string;
  readonly refused: boolean;
}

/** Refusals are written down also of what only reads: somebody tried. */
async function auditFailure(route: Route, { error, facts, actor, refused }: Failure, parts: ApiParts): Promise<void> {
  if (route.unaudited || (!refused && !isUnsafe(route.method))) return;
  const code = error instanceof HoldfastError ? error.code : 'internal';
  if (code === 'request.invalid') return;
  const entry: AuditFacts = {
    actor,
    action: route.operation ?? route.id,
    outcome: refused ? 'refused' : 'failed',
    address: facts.address,
    facts: { code },
  };
  await recordAudit(entry, parts).catch((cause: unknown) => {
    parts.log.error({ err: messageOf(cause) }, 'the audit log could not be written');
  });
}
