/** The people the configuration declares become accounts, and have the roles it gives them. */
import type { Database } from '../../catalogue/open.ts';
import type { Role } from '../../model/principal.ts';
import { recordAudit } from '../access/audit.ts';
import { type AuthUses, exclusively } from '../auth-uses.ts';
import { insertAccount } from './accounts.ts';
import { accountName, findAccount, heldRoles, isAccountName } from './find-account.ts';
import { wouldLoseOwner } from './rights.ts';
import { replaceWorkspaces, type WorkspaceView } from './workspaces.ts';

export interface DeclaredUser {
  readonly name: string;
  readonly email?: string;
  /** By workspace; `*` is everywhere. */
  readonly roles: ReadonlyMap<string, Role>;
}

export interface Reconciled {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  /** No longer declared: the account stays, without what the file gave. */
  readonly released: readonly string[];
  /** What a person should know. */
  readonly warnings: readonly string[];
}

interface Changes {
  readonly added: string[];
  readonly changed: string[];
  readonly released: string[];
  readonly warnings: string[];
}

/**
 * Brings accounts and memberships of origin `file` in line with the configuration: at start, and when it was changed. Twice
 * the same changes nothing. Accounts are never removed here, nor is the last owner degraded: that is a warning.
 */
export async function reconcileAccounts(
  declared: { readonly users: Iterable<DeclaredUser>; readonly workspaces: Iterable<WorkspaceView> },
  uses: AuthUses,
): Promise<Reconciled> {
  return await exclusively(uses, async (db) => {
    const changes: Changes = { added: [], changed: [], released: [], warnings: [] };
    const nowMs = uses.clock.nowMs();
    await replaceWorkspaces(declared.workspaces, nowMs, db);
    const users = new Map([...declared.users].map((user) => [user.name.toLowerCase(), user]));
    // Owners come first: the last one may hand over in one change.
    const inOrder = [...users].sort(([, a], [, b]) => Number(isOwner(b)) - Number(isOwner(a)));
    for (const [name, user] of inOrder) await bring({ ...user, name }, changes, nowMs, db);
    await release(users, changes, db);
    for (const [action, names] of [
      ['user.add', changes.added],
      ['user.change', changes.changed],
      ['user.release', changes.released],
    ] as const) {
      for (const subject of names)
        await recordAudit({ actor: 'configuration', action, subject, outcome: 'done' }, uses, db);
    }
    return changes;
  });
}

/** The same for one person who is not there yet, before a server ever started; who is there stays as they are. */
export async function addDeclared(user: DeclaredUser, uses: AuthUses): Promise<void> {
  const name = accountName(user.name);
  await exclusively(uses, async (db) => {
    if ((await findAccount(name, db)) !== undefined) return;
    await insertAccount({ ...user, name, passwordHash: null, origin: 'file' }, uses.clock.nowMs(), db);
    await recordAudit({ actor: 'configuration', action: 'user.add', subject: name, outcome: 'done' }, uses, db);
  });
}

function isOwner({ roles }: DeclaredUser): boolean {
  return roles.get('*') === 'owner';
}

async function bring(user: DeclaredUser, changes: Changes, nowMs: number, db: Database): Promise<void> {
  if (!isAccountName(user.name)) {
    changes.warnings.push(`«${user.name}» cannot be the name of an account: letters a to z, digits, «.», «_» and «-»`);
    return;
  }
  const account = await findAccount(user.name, db);
  if (account?.origin === 'oidc' && account.email !== (user.email?.trim().toLowerCase() ?? '')) {
    changes.warnings.push(someoneElse(user.name));
    return;
  }
  if (account === undefined) {
    await insertAccount({ ...user, passwordHash: null, origin: 'file' }, nowMs, db);
    changes.added.push(user.name);
    return;
  }
  const email = user.email?.trim().toLowerCase() ?? account.email;
  const rows = await db.selectFrom('membership').selectAll().where('userId', '=', account.id).execute();
  const before = new Map(rows.filter((one) => one.origin === 'file').map((one) => [one.workspace, one.role]));
  const same =
    account.origin === 'file' &&
    account.email === email &&
    before.size === user.roles.size &&
    [...user.roles].every(([workspace, role]) => before.get(workspace) === role);
  if (same) return;
  const file = [...user.roles].map(([workspace, role]) => ({ workspace, role, origin: 'file' }));
  if (await wouldLoseOwner(account, [...rows.filter((one) => one.origin !== 'file'), ...file], db)) {
    changes.warnings.push(lastOwner(user.name));
    return;
  }
  await db.updateTable('account').set({ origin: 'file', email }).where('id', '=', account.id).execute();
  await dropFileRoles(account.id, db);
  for (const [workspace, role] of user.roles) {
    await db.insertInto('membership').values({ userId: account.id, workspace, role, origin: 'file' }).execute();
  }
  changes.changed.push(user.name);
}

async function release(users: ReadonlyMap<string, DeclaredUser>, changes: Changes, db: Database): Promise<void> {
  const gone = await db.selectFrom('account').selectAll().where('origin', '=', 'file').orderBy('name').execute();
  for (const account of gone.filter((one) => !users.has(one.name))) {
    const { id, name } = account;
    const others = (await heldRoles(id, db)).filter((one) => one.origin !== 'file');
    if (await wouldLoseOwner(account, others, db)) {
      changes.warnings.push(lastOwner(name));
      continue;
    }
    await db.updateTable('account').set({ origin: 'ui' }).where('id', '=', id).execute();
    await dropFileRoles(id, db);
    changes.released.push(name);
  }
}

async function dropFileRoles(userId: string, db: Database): Promise<void> {
  await db.deleteFrom('membership').where('userId', '=', userId).where('origin', '=', 'file').execute();
}

/** Who names themselves at a provider could wait for a role that is meant for another. */
function someoneElse(name: string): string {
  return `«${name}» is the account of somebody who came from the provider: declare their e-mail address to mean them, or take another name`;
}

function lastOwner(name: string): string {
  return `«${name}» is the last who may do everything and stays so, whatever the configuration says: declare another owner first`;
}
