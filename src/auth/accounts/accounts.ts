/** Accounts: who there is, who comes, who goes. */

import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { sortableId } from '../../base/sortable-id.ts';
import type { Database } from '../../catalogue/open.ts';
import { storable } from '../../catalogue/transaction.ts';
import type { Role } from '../../model/principal.ts';
import { recordAudit } from '../access/audit.ts';
import { endDownloadsOf } from '../access/downloads.ts';
import { endSessionsOf } from '../access/sessions.ts';
import type { Asker, AuthUses } from '../auth-uses.ts';
import { actorOf } from '../auth-uses.ts';
import { hashPassword } from '../passwords/password-hash.ts';
import { requireGoodPassword } from '../passwords/password-rules.ts';
import { type Account, accountByName, accountName, findAccount } from './find-account.ts';
import { effectiveRoles, type HeldRole, heldRolesOf, type MembershipOrigin } from './held-roles.ts';
import { keepingAnOwner, requireMayGive, requireMayRule } from './rights.ts';
import { requireWorkspace } from './workspaces.ts';

export interface AccountView {
  readonly id: string;
  readonly name: string;
  readonly email?: string;
  /** Who made it: what the file declares is changed there. */
  readonly origin: MembershipOrigin;
  readonly disabled: boolean;
  /** What counts, by workspace; `*` is everywhere. */
  readonly roles: Readonly<Record<string, Role>>;
  /** Who gave what. */
  readonly held: readonly HeldRole[];
  /** The ways to sign in. */
  readonly hasPassword: boolean;
  readonly hasTotp: boolean;
  readonly passkeys: number;
  readonly identities: number;
  readonly createdAtMs: number;
  readonly lastSeenAtMs?: number;
}

export interface NewAccount {
  readonly name: string;
  readonly email?: string;
  /** Absent: they sign in by a provider, or set one by a link (`issuePasswordLink`). */
  readonly password?: Secret;
  /** By workspace; `*` is everywhere. */
  readonly roles: ReadonlyMap<string, Role>;
}

/** All of them by name, or one. Memory: the whole list. */
export async function listAccounts(
  { catalogue: { db } }: Pick<AuthUses, 'catalogue'>,
  name?: string,
): Promise<AccountView[]> {
  let query = db.selectFrom('account').selectAll().orderBy('name');
  if (name !== undefined) query = query.where('name', '=', name);
  const accounts = await query.execute();
  const memberships = Map.groupBy(await db.selectFrom('membership').selectAll().execute(), (one) => one.userId);
  const passkeys = await countsOf('passkey', db);
  const identities = await countsOf('identity', db);
  return accounts.map((account) => {
    const held = heldRolesOf(memberships.get(account.id) ?? []);
    return {
      ...viewOf(account),
      roles: Object.fromEntries(effectiveRoles(held)),
      held,
      passkeys: passkeys.get(account.id) ?? 0,
      identities: identities.get(account.id) ?? 0,
    };
  });
}

/** `request.invalid` for a name that is taken or a password that is too weak, `auth.forbidden` for roles beyond the asker's own. */
export async function addAccount(account: NewAccount, asker: Asker, uses: AuthUses): Promise<{ readonly id: string }> {
  const name = accountName(account.name);
  for (const [workspace, role] of account.roles) {
    requireMayGive(asker, workspace, role);
    await requireWorkspace(workspace, uses.catalogue.db);
  }
  if (account.password !== undefined) requireGoodPassword(account.password, { name, email: account.email });
  const passwordHash = account.password === undefined ? null : await hashPassword(account.password);
  return await keepingAnOwner(uses, async (db) => {
    if ((await findAccount(name, db)) !== undefined) throw taken(name);
    const made = { name, email: account.email, passwordHash, origin: 'ui', roles: account.roles } as const;
    const id = await insertAccount(made, uses.clock.nowMs(), db);
    const facts = Object.fromEntries([...account.roles].map(([workspace, role]) => [`role.${workspace}`, role]));
    await record('user.add', { name, facts }, asker, uses, db);
    return { id };
  });
}

/** Gives a role in a workspace, or takes it away (`role` absent). `object.owned` for what the file says. */
export async function setRole(
  change: { readonly name: string; readonly workspace: string; readonly role?: Role },
  asker: Asker,
  uses: AuthUses,
): Promise<void> {
  const { workspace, role } = change;
  if (role !== undefined) await requireWorkspace(workspace, uses.catalogue.db);
  await keepingAnOwner(uses, async (db) => {
    const account = await accountByName(change.name, db);
    requireNotOfFile(account, 'roles');
    const rows = await db.selectFrom('membership').selectAll().where('userId', '=', account.id).execute();
    const held = heldRolesOf(rows).filter((one) => one.workspace === workspace);
    for (const one of held) requireMayGive(asker, workspace, one.role);
    if (role !== undefined) requireMayGive(asker, workspace, role);
    if (role === undefined && held.length > 0 && held.every((one) => one.origin === 'oidc'))
      throw ofProvider(account.name);
    await db
      .deleteFrom('membership')
      .where('userId', '=', account.id)
      .where('workspace', '=', workspace)
      .where('origin', '=', 'ui')
      .execute();
    if (role !== undefined) {
      await db.insertInto('membership').values({ userId: account.id, workspace, role, origin: 'ui' }).execute();
    }
    await record('user.set-role', { name: account.name, facts: { workspace, role: role ?? 'none' } }, asker, uses, db);
  });
}

/** Keeps somebody out, or lets them in again. Their sessions and links end at once, their tokens say nothing while it lasts. */
export async function setDisabled(
  { name, disabled }: { readonly name: string; readonly disabled: boolean },
  asker: Asker,
  uses: AuthUses,
): Promise<void> {
  await keepingAnOwner(uses, async (db) => {
    const account = await accountByName(name, db);
    await requireMayRule(asker, account, db);
    await db
      .updateTable('account')
      .set({ disabled: disabled ? 1 : 0 })
      .where('id', '=', account.id)
      .execute();
    if (disabled) {
      await endSessionsOf(account.id, db);
      await endDownloadsOf({ account: account.name }, db);
    }
    await record(disabled ? 'user.disable' : 'user.enable', { name: account.name }, asker, uses, db);
  });
}

/** Removes an account with everything that lets somebody in by it. What the audit log says of it stays. */
export async function removeAccount(name: string, asker: Asker, uses: AuthUses): Promise<void> {
  await keepingAnOwner(uses, async (db) => {
    const account = await accountByName(name, db);
    requireNotOfFile(account, 'account');
    await requireMayRule(asker, account, db);
    for (const table of ['session', 'token', 'passkey', 'identity', 'membership', 'flow'] as const) {
      await db.deleteFrom(table).where('userId', '=', account.id).execute();
    }
    await endDownloadsOf({ account: account.name }, db);
    await db.deleteFrom('account').where('id', '=', account.id).execute();
    await record('user.remove', { name: account.name }, asker, uses, db);
  });
}

/** Within a transaction of the caller, who has judged whether it may be. */
export async function insertAccount(
  account: {
    readonly name: string;
    readonly email?: string;
    readonly passwordHash: string | null;
    readonly origin: MembershipOrigin;
    readonly roles: ReadonlyMap<string, Role>;
  },
  nowMs: number,
  db: Database,
): Promise<string> {
  const id = sortableId(nowMs);
  const { name, passwordHash, origin } = account;
  await db
    .insertInto('account')
    .values({
      id,
      name,
      email: account.email === undefined ? null : storable(account.email.trim().toLowerCase()),
      passwordHash,
      disabled: 0,
      origin,
      createdAtMs: nowMs,
    })
    .execute();
  for (const [workspace, role] of account.roles) {
    await db.insertInto('membership').values({ userId: id, workspace, role, origin }).execute();
  }
  return id;
}

async function record(
  action: string,
  { name, facts }: { name: string; facts?: Readonly<Record<string, string>> },
  { principal, address }: Asker,
  uses: AuthUses,
  db: Database,
): Promise<void> {
  await recordAudit({ actor: actorOf(principal), action, subject: name, outcome: 'done', address, facts }, uses, db);
}

function viewOf(account: Account) {
  return {
    id: account.id,
    name: account.name,
    ...(account.email === null ? {} : { email: account.email }),
    origin: account.origin as MembershipOrigin,
    disabled: account.disabled !== 0,
    hasPassword: account.passwordHash !== null,
    hasTotp: account.totpSecret !== null,
    createdAtMs: account.createdAtMs,
    ...(account.lastSeenAtMs === null ? {} : { lastSeenAtMs: account.lastSeenAtMs }),
  };
}

async function countsOf(table: 'passkey' | 'identity', db: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom(table)
    .select(['userId', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy('userId')
    .execute();
  return new Map(rows.map(({ userId, count }) => [userId, Number(count)]));
}

function requireNotOfFile({ name, origin }: Account, what: 'roles' | 'account'): void {
  if (origin !== 'file') return;
  throw new HoldfastError({
    code: 'object.owned',
    message:
      what === 'roles'
        ? `the roles of «${name}» are declared in the configuration`
        : `the account «${name}» is declared in the configuration`,
    remedy: `Change it under users: ${name}; or disable the account.`,
  });
}

function ofProvider(name: string): HoldfastError {
  return new HoldfastError({
    code: 'object.owned',
    message: `the provider of identities gives «${name}» that role`,
    remedy: 'Change their groups there; or disable the account.',
  });
}

function taken(name: string): HoldfastError {
  return new HoldfastError({
    code: 'request.invalid',
    message: `there is a user «${name}» already`,
    remedy: 'Take another name, or change that account.',
  });
}
