/** From what a request brings to who it is: one indexed statement, nothing remembered between requests. */
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import type { Principal } from '../../model/principal.ts';
import { cappedRoles, effectiveRoles, heldRolesOf } from '../accounts/held-roles.ts';
import type { AuthUses } from '../auth-uses.ts';
import { hashOf } from './random-text.ts';
import { idleMs } from './sessions.ts';

export interface Credentials {
  /** What the session cookie holds. */
  readonly session?: Secret;
  /** What follows `Authorization: Bearer`. It counts before the session. */
  readonly bearer?: Secret;
}

export interface Authenticated {
  readonly principal: Principal;
  /** Present if a session says who it is: then requests that change something need `refuseCrossSite`. */
  readonly session?: { readonly id: string; readonly createdAtMs: number; readonly method: string };
  readonly token?: { readonly id: string; readonly title: string };
}

/** How exactly sessions, tokens and accounts remember when they were last used. */
const seenEveryMs = 60_000;

/**
 * Who asks. `auth.required` if it is nobody: no credentials, or unknown, expired, revoked ones, or those of a disabled
 * account; which of these is not told. What is looked up is a SHA-256 of 256 random bits, so the time of a comparison
 * tells nothing. A change of roles counts from the next request on.
 */
export async function authenticate({ session, bearer }: Credentials, uses: AuthUses): Promise<Authenticated> {
  if (bearer !== undefined) return await byToken(bearer, uses);
  if (session !== undefined) return await bySession(session, uses);
  throw nobody();
}

/** The same where only the principal matters. */
export async function principalOf(credentials: Credentials, uses: AuthUses): Promise<Principal> {
  return (await authenticate(credentials, uses)).principal;
}

/** Who made something that is used later, without them. */
export interface Maker {
  readonly userId: string;
  /** The id of the token it was made with, if it was one. */
  readonly token?: string;
}

/** What `authenticate` would say of them now, with the same session or token. Using what they made is no use of a token. */
export async function recogniseAgain({ userId, token }: Maker, uses: AuthUses): Promise<Principal> {
  if (token !== undefined) return ofToken(await tokenRows('t.id', token, uses), uses).principal;
  const rows = await uses.catalogue.db
    .selectFrom('account as a')
    .leftJoin('membership as m', 'm.userId', 'a.id')
    .select(['a.name', 'a.disabled', 'm.workspace', 'm.role', 'm.origin'])
    .where('a.id', '=', userId)
    .execute();
  const [row] = rows;
  if (row === undefined || row.disabled !== 0) throw nobody();
  return { kind: 'user', name: row.name, userId, roles: effectiveRoles(heldRolesOf(rows)) };
}

async function bySession(value: Secret, { catalogue, clock }: AuthUses): Promise<Authenticated> {
  const idHash = hashOf(value.reveal());
  const rows = await catalogue.db
    .selectFrom('session as s')
    .innerJoin('account as a', 'a.id', 's.userId')
    .leftJoin('membership as m', 'm.userId', 'a.id')
    .select(['s.userId', 's.createdAtMs', 's.seenAtMs', 's.expiresAtMs', 's.method', 'a.name', 'a.disabled'])
    .select(['m.workspace', 'm.role', 'm.origin'])
    .where('s.idHash', '=', idHash)
    .execute();
  const [row] = rows;
  const nowMs = clock.nowMs();
  if (row === undefined || row.disabled !== 0) throw nobody();
  if (row.expiresAtMs <= nowMs || row.seenAtMs + idleMs <= nowMs) throw nobody();
  if (nowMs - row.seenAtMs >= seenEveryMs) {
    await catalogue.db.updateTable('session').set({ seenAtMs: nowMs }).where('idHash', '=', idHash).execute();
    await catalogue.db.updateTable('account').set({ lastSeenAtMs: nowMs }).where('id', '=', row.userId).execute();
  }
  const { name, userId, createdAtMs, method } = row;
  return {
    principal: { kind: 'user', name, userId, roles: effectiveRoles(heldRolesOf(rows)) },
    session: { id: idHash, createdAtMs, method },
  };
}

async function byToken(value: Secret, uses: AuthUses): Promise<Authenticated> {
  const rows = await tokenRows('t.hash', hashOf(value.reveal()), uses);
  const known = ofToken(rows, uses);
  const [{ id, lastUsedAtMs }] = rows;
  const nowMs = uses.clock.nowMs();
  if (lastUsedAtMs === null || nowMs - lastUsedAtMs >= seenEveryMs) {
    await uses.catalogue.db.updateTable('token').set({ lastUsedAtMs: nowMs }).where('id', '=', id).execute();
  }
  return known;
}

/** One row for each membership of its owner. */
async function tokenRows(column: 't.hash' | 't.id', value: string, { catalogue }: AuthUses) {
  return await catalogue.db
    .selectFrom('token as t')
    .innerJoin('account as a', 'a.id', 't.userId')
    .leftJoin('membership as m', 'm.userId', 'a.id')
    .select(['t.id', 't.title', 't.userId', 't.role as ceiling', 't.workspace as within', 't.sources'])
    .select(['t.expiresAtMs', 't.revokedAtMs', 't.lastUsedAtMs', 'a.name', 'a.disabled'])
    .select(['m.workspace', 'm.role', 'm.origin'])
    .where(column, '=', value)
    .execute();
}

/** `auth.required` for what is no token now. */
function ofToken(
  rows: Awaited<ReturnType<typeof tokenRows>>,
  { clock }: AuthUses,
): Authenticated & { readonly token: { readonly id: string; readonly title: string } } {
  const row = rows.at(0);
  if (row === undefined || row.disabled !== 0 || row.revokedAtMs !== null) throw nobody();
  if (row.expiresAtMs !== null && row.expiresAtMs <= clock.nowMs()) throw nobody();
  const [ceiling] = heldRolesOf([{ workspace: row.within, role: row.ceiling, origin: 'ui' }]);
  if (ceiling === undefined) throw nobody();
  return {
    principal: {
      kind: 'token',
      name: `${row.name}/${row.title}`,
      userId: row.userId,
      roles: cappedRoles(effectiveRoles(heldRolesOf(rows)), ceiling.role, row.within),
      ...(row.sources === null ? {} : { sources: new Set(JSON.parse(row.sources) as string[]) }),
    },
    token: { id: row.id, title: row.title },
  };
}

function nobody(): HoldfastError {
  return new HoldfastError({
    code: 'auth.required',
    message: 'nobody is signed in: there is no session or token, or it is not valid any more',
    remedy: 'Sign in, or send a token: «Authorization: Bearer hf_…».',
  });
}
