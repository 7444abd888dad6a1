/** Who is signed in. The cookie holds 256 random bits, the catalogue their SHA-256: who reads it cannot use it. */
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import type { Database } from '../../catalogue/open.ts';
import { storable } from '../../catalogue/transaction.ts';
import { accountByName } from '../accounts/find-account.ts';
import { requireMayRule } from '../accounts/rights.ts';
import type { Asker, AuthUses, Origin } from '../auth-uses.ts';
import { actorOf, refused } from '../auth-uses.ts';
import { rememberPlace } from './attempts.ts';
import { recordAudit } from './audit.ts';
import { hashOf, newSecretText } from './random-text.ts';

/** Unused for this long, a session ends. */
export const idleMs = 24 * 3_600_000;
/** And after this long in any case. */
export const longestMs = 14 * 24 * 3_600_000;

export interface SignedIn {
  readonly userId: string;
  readonly name: string;
  /** For the cookie, see `sessionCookie`; it is shown nowhere else and cannot be had again. */
  readonly session: Secret;
  readonly expiresAtMs: number;
}

export interface SessionView {
  readonly id: string;
  readonly createdAtMs: number;
  readonly seenAtMs: number;
  readonly expiresAtMs: number;
  readonly method: string;
  readonly address: string;
  readonly agent: string;
}

/** Ways to have signed in. */
export type SignInMethod = 'password' | 'password+totp' | 'password+recovery' | 'passkey' | 'oidc' | 'set-up';

/** Begins a session with an id of its own; the one the cookie held before ends, so that nobody can have planted it. */
export async function startSession(
  account: { readonly id: string; readonly name: string },
  method: SignInMethod,
  origin: Origin,
  uses: AuthUses,
  db: Database = uses.catalogue.db,
): Promise<SignedIn> {
  const session = newSecretText();
  const nowMs = uses.clock.nowMs();
  const expiresAtMs = nowMs + longestMs;
  if (origin.replaces !== undefined) {
    await db.deleteFrom('session').where('idHash', '=', hashOf(origin.replaces.reveal())).execute();
  }
  await db
    .insertInto('session')
    .values({
      idHash: hashOf(session),
      userId: account.id,
      createdAtMs: nowMs,
      seenAtMs: nowMs,
      expiresAtMs,
      method,
      address: storable(origin.address),
      agent: storable(origin.agent.slice(0, 300)),
    })
    .execute();
  await db.updateTable('account').set({ lastSeenAtMs: nowMs }).where('id', '=', account.id).execute();
  await rememberPlace([account.name, account.id], origin.address, uses, db);
  const entry = { actor: account.name, action: 'sign-in', outcome: 'done', address: origin.address } as const;
  await recordAudit({ ...entry, facts: { method } }, uses, db);
  return { userId: account.id, name: account.name, session: new Secret(session), expiresAtMs };
}

/** Live sessions of an account, the newest first. */
export async function listSessions(userId: string, { catalogue, clock }: AuthUses): Promise<SessionView[]> {
  const nowMs = clock.nowMs();
  const rows = await catalogue.db
    .selectFrom('session')
    .selectAll()
    .where('userId', '=', userId)
    .where('expiresAtMs', '>', nowMs)
    .where('seenAtMs', '>', nowMs - idleMs)
    .orderBy('createdAtMs', 'desc')
    .execute();
  return rows.map(({ idHash, userId: _, ...rest }) => ({ id: idHash, ...rest }));
}

/** Signs out: ends the session a cookie holds. Nothing happens if there is none. */
export async function endSession(
  session: Secret,
  by: { name: string; address?: string },
  uses: AuthUses,
): Promise<void> {
  const { numDeletedRows } = await uses.catalogue.db
    .deleteFrom('session')
    .where('idHash', '=', hashOf(session.reveal()))
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) return;
  await recordAudit({ actor: by.name, action: 'sign-out', outcome: 'done', address: by.address }, uses);
}

/** Ends one session of an account by the id of its view. `user.unknown`. */
export async function endSessionById(userId: string, id: string, asker: Asker, uses: AuthUses): Promise<void> {
  const { numDeletedRows } = await uses.catalogue.db
    .deleteFrom('session')
    .where('idHash', '=', storable(id))
    .where('userId', '=', userId)
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) {
    throw new HoldfastError({
      code: 'user.unknown',
      message: 'there is no such session',
      remedy: 'List them again: it may have ended by itself.',
    });
  }
  const { principal, address } = asker;
  await recordAudit({ actor: actorOf(principal), action: 'session.end', outcome: 'done', address }, uses);
}

/** Signs somebody out everywhere, by who rules over them; gives how many sessions ended. */
export async function endAllSessions(name: string, asker: Asker, uses: AuthUses): Promise<number> {
  const account = await accountByName(name, uses.catalogue.db);
  await requireMayRule(asker, account, uses.catalogue.db);
  const sessions = await endSessionsOf(account.id, uses.catalogue.db);
  const { principal, address } = asker;
  const entry = { actor: actorOf(principal), action: 'user.sign-out', subject: account.name, address } as const;
  await recordAudit({ ...entry, outcome: 'done', facts: { sessions } }, uses);
  return sessions;
}

/** Ends all sessions of an account but one; gives how many. */
export async function endSessionsOf(userId: string, db: Database, exceptId?: string): Promise<number> {
  let query = db.deleteFrom('session').where('userId', '=', userId);
  if (exceptId !== undefined) query = query.where('idHash', '!=', exceptId);
  const { numDeletedRows } = await query.executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

/** How long after a sign-in the means of signing in may be changed without the password. */
export const recentMs = 15 * 60_000;

/**
 * For what a borrowed or stolen session must not do (a passkey more, a second factor less): the sign-in must be recent.
 * `auth.refused` if it is not, with what to do.
 */
export function requireRecentSignIn(
  session: { readonly createdAtMs: number },
  { clock }: Pick<AuthUses, 'clock'>,
): void {
  if (clock.nowMs() - session.createdAtMs < recentMs) return;
  throw refused('the sign-in is too long ago for this', 'Sign in again, and do it within a quarter of an hour.');
}
