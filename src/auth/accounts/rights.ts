/** Who may do something to whose account. Nobody gives, takes or takes over more than they have. */
import type { Database } from '../../catalogue/open.ts';
import { isAtLeast, type Principal, type Role, roleIn } from '../../model/principal.ts';
import { type Asker, type AuthUses, exclusively, forbidden, type Transacting } from '../auth-uses.ts';
import { type Account, countOwners, hasWayIn, heldRoles } from './find-account.ts';
import { effectiveRoles, heldRolesOf } from './held-roles.ts';

/**
 * For what concerns an account as a whole (its password, second factor, its end): admin everywhere, and at least the role
 * that the account has in each of its workspaces. `auth.forbidden`.
 */
export async function requireMayRule({ principal }: Asker, account: Account, db: Database): Promise<void> {
  const held = await heldRoles(account.id, db);
  const isAdmin = principal.sources === undefined && isAtLeast(roleIn(principal), 'admin');
  const rules = isAdmin && held.every((one) => mayGive(principal, one.workspace, one.role));
  if (rules) return;
  throw forbidden(
    `${principal.name} may not change the account «${account.name}»`,
    'Somebody with at least the roles of that account can; an owner can always.',
  );
}

/** Admin there, and at least the role itself. `workspace`: `*` is everywhere. Who is held to some sources gives nothing. */
export function mayGive(principal: Principal, workspace: string, role: Role): boolean {
  if (principal.sources !== undefined) return false;
  const own = roleIn(principal, workspace === '*' ? undefined : workspace);
  return isAtLeast(own, 'admin') && isAtLeast(own, role);
}

/** `auth.forbidden` unless the role may be given, or taken, by who asks. */
export function requireMayGive({ principal }: Asker, workspace: string, role: Role): void {
  if (mayGive(principal, workspace, role)) return;
  throw forbidden(
    `${principal.name} may not give or take the role ${role} ${workspace === '*' ? 'everywhere' : `in ${workspace}`}`,
    'It takes an admin of that workspace, and nobody gives more than they have.',
  );
}

/** Changes accounts, all or nothing, unless that would leave nobody who may do everything. `auth.forbidden`. */
export async function keepingAnOwner<T>(uses: AuthUses, work: (db: Transacting) => Promise<T>): Promise<T> {
  return await exclusively(uses, async (db) => {
    const before = await countOwners(db);
    const outcome = await work(db);
    if (before > 0 && (await countOwners(db)) === 0) {
      throw forbidden('that would leave nobody who may do everything', 'Make somebody else an owner first.');
    }
    return outcome;
  });
}

/** True if this account is the only one that may do everything, and with these roles would be none. */
export async function wouldLoseOwner(
  account: { readonly id: string; readonly disabled: number },
  then: Iterable<{ readonly workspace: string; readonly role: string; readonly origin: string }>,
  db: Database,
): Promise<boolean> {
  const now = effectiveRoles(await heldRoles(account.id, db)).get('*');
  if (account.disabled !== 0 || now !== 'owner' || effectiveRoles(heldRolesOf(then)).get('*') === 'owner') return false;
  return (await countOwners(db)) === 1;
}

/** Of who takes one of their own ways in away, once it is gone: `auth.forbidden` unless there is another one. */
export async function requireWayIn(userId: string, db: Database): Promise<void> {
  const row = await db
    .selectFrom('account as a')
    .select('a.id')
    .where('a.id', '=', userId)
    .where((eb) => hasWayIn(eb))
    .executeTakeFirst();
  if (row !== undefined) return;
  throw forbidden('there would be no way left to sign in', 'Set a password, or add a passkey, first.');
}
