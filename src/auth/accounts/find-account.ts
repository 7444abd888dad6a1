/** Accounts as rows, by what names them. */
import type { ExpressionBuilder, Selectable } from 'kysely';
import { HoldfastError } from '../../base/errors.ts';
import type { Database } from '../../catalogue/open.ts';
import type { Tables, UserTable } from '../../catalogue/tables.ts';
import { unknownUser } from '../auth-uses.ts';
import { effectiveRoles, type HeldRole, heldRolesOf } from './held-roles.ts';

export type Account = Selectable<UserTable>;

/** Lower-case letters, digits, `.`, `_`, `-`: what can be told apart, and stands in a URL and a log. */
const accountNamePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/** As the audit log calls who is nobody's account. */
const reserved = new Set(['agent', 'cli', 'configuration', 'local', 'nobody', 'provider', 'schedule', 'system']);

export function isAccountName(name: string): boolean {
  return accountNamePattern.test(name) && !reserved.has(name);
}

/** Names are compared in lower case. `request.invalid` for what can be none. */
export function accountName(text: string): string {
  const name = text.trim().toLowerCase();
  if (isAccountName(name)) return name;
  throw new HoldfastError({
    code: 'request.invalid',
    message: 'that is no name for an account',
    remedy:
      'Letters a to z, digits, dots, underscores and hyphens, 64 at the most; and none of the names the audit log uses, like nobody.',
  });
}

export async function findAccount(name: string, db: Database): Promise<Account | undefined> {
  const wanted = name.trim().toLowerCase();
  if (!accountNamePattern.test(wanted)) return undefined;
  return await db.selectFrom('account').selectAll().where('name', '=', wanted).executeTakeFirst();
}

/** `user.unknown`. */
export async function accountByName(name: string, db: Database): Promise<Account> {
  const found = await findAccount(name, db);
  if (found === undefined) throw unknownUser(name);
  return found;
}

/** `user.unknown`. */
export async function accountById(id: string, db: Database): Promise<Account> {
  const found = await db.selectFrom('account').selectAll().where('id', '=', id).executeTakeFirst();
  if (found === undefined) throw unknownUser(id);
  return found;
}

export async function heldRoles(userId: string, db: Database): Promise<HeldRole[]> {
  const rows = await db
    .selectFrom('membership')
    .select(['workspace', 'role', 'origin'])
    .where('userId', '=', userId)
    .orderBy('workspace')
    .orderBy('origin')
    .execute();
  return heldRolesOf(rows);
}

/** How many may do everything: an owner everywhere, not disabled. */
export async function countOwners(db: Database): Promise<number> {
  return (await ownersOf(db)).length;
}

/** True if somebody who may do everything has a way to sign in. A declared owner who never did has none yet. */
export async function canAnOwnerSignIn(db: Database): Promise<boolean> {
  const owners = await ownersOf(db);
  if (owners.length === 0) return false;
  const row = await db
    .selectFrom('account as a')
    .select('a.id')
    .where('a.id', 'in', owners)
    .where((eb) => hasWayIn(eb))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** That the account `a` has a way to sign in: a password, a passkey, or a provider. */
export function hasWayIn(eb: ExpressionBuilder<Tables & { a: UserTable }, 'a'>) {
  return eb.or([
    eb('a.passwordHash', 'is not', null),
    eb.exists(eb.selectFrom('passkey as p').select('p.id').whereRef('p.userId', '=', 'a.id')),
    eb.exists(eb.selectFrom('identity as i').select('i.subject').whereRef('i.userId', '=', 'a.id')),
  ]);
}

async function ownersOf(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('membership as m')
    .innerJoin('account as a', 'a.id', 'm.userId')
    .select(['m.userId', 'm.workspace', 'm.role', 'm.origin'])
    .where('m.workspace', '=', '*')
    .where('a.disabled', '=', 0)
    .execute();
  const byUser = Map.groupBy(rows, (row) => row.userId);
  return [...byUser].filter(([, held]) => effectiveRoles(heldRolesOf(held)).get('*') === 'owner').map(([id]) => id);
}
