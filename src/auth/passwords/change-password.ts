/** New passwords: one's own, somebody else's, and the one-time link with which a person sets the first. */
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import type { Database } from '../../catalogue/open.ts';
import { countAttempt, giveBack } from '../access/attempts.ts';
import { recordAudit } from '../access/audit.ts';
import { beginFlow, lookAtFlow, takeFlow } from '../access/flows.ts';
import { endSessionsOf, requireRecentSignIn } from '../access/sessions.ts';
import { type Account, accountById, accountByName } from '../accounts/find-account.ts';
import { requireMayRule } from '../accounts/rights.ts';
import type { Asker, AuthUses } from '../auth-uses.ts';
import { actorOf, exclusively, refused } from '../auth-uses.ts';
import { hashPassword, verifyPassword } from './password-hash.ts';
import { requireGoodPassword } from './password-rules.ts';

/** How long a link to set a password with is good for. */
export const passwordLinkMs = 72 * 3_600_000;

export interface PasswordChange {
  readonly userId: string;
  /** Of who asks; it goes on. */
  readonly session: { readonly id: string; readonly createdAtMs: number };
  readonly current?: Secret;
  readonly password: Secret;
}

/**
 * One's own: with the one before, unless there is none yet; then the sign-in has to be recent. All other sessions end, and
 * every link to set a password with. `auth.refused`, `auth.limited`, `request.invalid`.
 */
export async function changePassword(change: PasswordChange, address: string, uses: AuthUses): Promise<void> {
  const account = await accountById(change.userId, uses.catalogue.db);
  const { id, name } = account;
  requireGoodPassword(change.password, account);
  if (account.passwordHash === null) requireRecentSignIn(change.session, uses);
  else await requireCurrent(account, change.current, address, uses);
  const hash = await hashPassword(change.password);
  await store({ id, name, hash, keepSession: change.session.id }, { name, address }, uses);
}

async function requireCurrent(
  { name, passwordHash }: Account,
  current: Secret | undefined,
  address: string,
  uses: AuthUses,
): Promise<void> {
  const attempt = await countAttempt('password', { account: name, address }, uses);
  if (current !== undefined && (await verifyPassword(current, passwordHash)).right) {
    await giveBack(attempt, uses);
    return;
  }
  await recordAudit({ actor: name, action: 'user.set-password', subject: name, address, outcome: 'refused' }, uses);
  throw refused('the password so far is not right', 'Type the one you sign in with.');
}

/** Somebody else's, by who rules over them (`requireMayRule`); all their sessions end. */
export async function setPassword(
  { name, password }: { readonly name: string; readonly password: Secret },
  asker: Asker,
  uses: AuthUses,
): Promise<void> {
  const account = await accountByName(name, uses.catalogue.db);
  await requireMayRule(asker, account, uses.catalogue.db);
  requireGoodPassword(password, account);
  const hash = await hashPassword(password);
  const by = { name: actorOf(asker.principal), address: asker.address };
  await store({ id: account.id, name: account.name, hash }, by, uses);
}

/** For a person who is to set a password without anybody else knowing it: goes into a link, works once, for three days. */
export async function issuePasswordLink(name: string, asker: Asker, uses: AuthUses): Promise<Secret> {
  const account = await accountByName(name, uses.catalogue.db);
  await requireMayRule(asker, account, uses.catalogue.db);
  const { principal, address } = asker;
  await recordAudit(
    { actor: actorOf(principal), action: 'user.password-link', subject: name, outcome: 'done', address },
    uses,
  );
  return await beginFlow({ purpose: 'password-link', userId: account.id, forMs: passwordLinkMs }, uses);
}

/** Sets the password that a link allows. A password that is not taken leaves the link good. `auth.refused`, `request.invalid`. */
export async function usePasswordLink(
  { link, password }: { readonly link: Secret; readonly password: Secret },
  address: string,
  uses: AuthUses,
): Promise<{ readonly name: string }> {
  const attempt = await countAttempt('password-link', { address }, uses);
  const { userId } = await lookAtFlow('password-link', link, uses);
  const account = await accountById(userId ?? '', uses.catalogue.db);
  if (account.disabled !== 0) throw refused('the account is disabled', 'Ask who looks after this server.');
  requireGoodPassword(password, account);
  const hash = await hashPassword(password);
  await takeFlow('password-link', link, uses);
  await giveBack(attempt, uses);
  await store({ id: account.id, name: account.name, hash }, { name: account.name, address }, uses);
  return { name: account.name };
}

interface NewHash {
  readonly id: string;
  readonly name: string;
  readonly hash: string;
  readonly keepSession?: string;
}

async function store(
  { id, name, hash, keepSession }: NewHash,
  by: { readonly name: string; readonly address?: string },
  uses: AuthUses,
): Promise<void> {
  await exclusively(uses, async (db) => {
    const { numUpdatedRows } = await db
      .updateTable('account')
      .set({ passwordHash: hash })
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) throw gone(name);
    const endedSessions = await endSessionsOf(id, db, keepSession);
    await endLinks(id, db);
    const entry = {
      actor: by.name,
      action: 'user.set-password',
      subject: name,
      outcome: 'done',
      address: by.address,
    } as const;
    await recordAudit({ ...entry, facts: { endedSessions } }, uses, db);
  });
}

async function endLinks(userId: string, db: Database): Promise<void> {
  await db
    .deleteFrom('flow')
    .where('userId', '=', userId)
    .where('purpose', 'in', ['password-link', 'second-factor'])
    .execute();
}

function gone(name: string): HoldfastError {
  return new HoldfastError({
    code: 'user.unknown',
    message: `the account «${name}» was removed meanwhile`,
    remedy: 'See: holdfast user list',
  });
}
