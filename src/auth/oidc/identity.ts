/** From an identity at a provider to an account here, with the roles its groups give at this moment. */
import type { Database } from '../../catalogue/open.ts';
import type { Role } from '../../model/principal.ts';
import { recordAudit } from '../access/audit.ts';
import { endSessionsOf } from '../access/sessions.ts';
import { insertAccount } from '../accounts/accounts.ts';
import { type Account, accountById, findAccount, heldRoles, isAccountName } from '../accounts/find-account.ts';
import { wouldLoseOwner } from '../accounts/rights.ts';
import { type AuthUses, exclusively, forbidden, refused } from '../auth-uses.ts';
import { rolesOfGroups } from './group-roles.ts';
import type { OidcSettings } from './provider.ts';

export interface Identity {
  readonly issuer: string;
  readonly subject: string;
  /** What the provider would call them here. */
  readonly name?: string;
  readonly email?: string;
  readonly emailVerified: boolean;
  readonly groups: readonly string[];
}

/**
 * The account that an identity is linked to; else `linkTo`; else, if the settings say so and the provider verified the e-mail
 * address, the one account that has it; else a new one. `auth.refused`, `auth.forbidden`.
 */
export async function accountOfIdentity(
  identity: Identity,
  { settings, linkTo }: { readonly settings: OidcSettings; readonly linkTo: string | null },
  uses: AuthUses,
): Promise<{ readonly id: string; readonly name: string }> {
  const wanted = rolesOfGroups(identity.groups, settings);
  const found = await exclusively(uses, async (db) => {
    const account = await existing(identity, { settings, linkTo }, uses, db);
    if (account === undefined) return wanted.size === 0 ? undefined : await join(identity, wanted, uses, db);
    if (account.disabled !== 0) throw refused('the account is disabled', 'Ask who looks after this server.');
    await replaceRoles(account, wanted, uses, db);
    if ((await heldRoles(account.id, db)).length > 0) return account;
    await endSessionsOf(account.id, db);
    return undefined;
  });
  if (found !== undefined) return found;
  throw forbidden(
    'none of your groups gives you a role here',
    `Ask for one that does (server.oidc.roles), or for a default role; the groups are taken from the claim «${settings.groupsClaim}».`,
  );
}

async function existing(
  identity: Identity,
  { settings, linkTo }: { readonly settings: OidcSettings; readonly linkTo: string | null },
  uses: AuthUses,
  db: Database,
): Promise<Account | undefined> {
  const { issuer, subject, email } = identity;
  const known = await db
    .selectFrom('identity')
    .select('userId')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
  if (known !== undefined) {
    if (linkTo === null || linkTo === known.userId) return await accountById(known.userId, db);
    throw refused('that identity belongs to another account', 'Sign out, and sign in with it.');
  }
  if (linkTo !== null) return await link(await accountById(linkTo, db), identity, uses, db);
  if (email === undefined) return undefined;
  const same = await db.selectFrom('account').selectAll().where('email', '=', email).execute();
  if (same.length === 0) return undefined;
  if (same.length === 1 && settings.linkByEmail === true && identity.emailVerified) {
    return await link(same[0], identity, uses, db);
  }
  // A second account of the same person would be a riddle, and taking the first one a theft.
  throw refused(
    'there is an account with your e-mail address, and nothing proves that it is yours',
    settings.linkByEmail === true
      ? 'The provider has to say that the address is verified (email_verified), and one account only may have it.'
      : 'Sign in to it and link the provider there; or set server.oidc.linkByEmail.',
  );
}

async function link(account: Account, { issuer, subject }: Identity, uses: AuthUses, db: Database): Promise<Account> {
  await db.insertInto('identity').values({ issuer, subject, userId: account.id }).execute();
  const { name } = account;
  await recordAudit({ actor: name, action: 'user.link', subject: name, outcome: 'done', facts: { issuer } }, uses, db);
  return account;
}

/** Somebody new, with a name that is free. */
async function join(identity: Identity, roles: ReadonlyMap<string, Role>, uses: AuthUses, db: Database) {
  const name = await freeName(identity, db);
  const email = identity.emailVerified ? identity.email : undefined;
  const id = await insertAccount({ name, email, passwordHash: null, origin: 'oidc', roles }, uses.clock.nowMs(), db);
  const { issuer, subject } = identity;
  await db.insertInto('identity').values({ issuer, subject, userId: id }).execute();
  await recordAudit({ actor: name, action: 'user.add', subject: name, outcome: 'done', facts: { issuer } }, uses, db);
  return { id, name };
}

async function replaceRoles(
  account: Account,
  wanted: ReadonlyMap<string, Role>,
  uses: AuthUses,
  db: Database,
): Promise<void> {
  const held = await heldRoles(account.id, db);
  const before = held.filter((one) => one.origin === 'oidc');
  const others = held.filter((one) => one.origin !== 'oidc');
  const roles = new Map(wanted);
  const then = [...others, ...[...roles].map(([workspace, role]) => ({ workspace, role, origin: 'oidc' }))];
  const isLastOwner = await wouldLoseOwner(account, then, db);
  if (isLastOwner) roles.set('*', 'owner');
  const same = before.length === roles.size && before.every((one) => roles.get(one.workspace) === one.role);
  if (same) return;
  await db.deleteFrom('membership').where('userId', '=', account.id).where('origin', '=', 'oidc').execute();
  for (const [workspace, role] of roles) {
    await db.insertInto('membership').values({ userId: account.id, workspace, role, origin: 'oidc' }).execute();
  }
  const { name } = account;
  const facts = {
    ...Object.fromEntries([...roles].map(([workspace, role]) => [`role.${workspace}`, role])),
    ...(isLastOwner ? { kept: 'the last owner stays one' } : {}),
  };
  await recordAudit({ actor: 'provider', action: 'user.set-role', subject: name, outcome: 'done', facts }, uses, db);
}

async function freeName({ name, email, subject }: Identity, db: Database): Promise<string> {
  const base = [name, email?.split('@')[0], subject, 'user'].map(asName).find((one) => one !== undefined) ?? 'user';
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? base : `${base}-${number}`;
    if ((await findAccount(candidate, db)) === undefined) return candidate;
  }
}

function asName(text: string | undefined): string | undefined {
  const name = (text ?? '')
    .toLowerCase()
    .normalize('NFKD')
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|[._-]+$/g, '')
    .slice(0, 50);
  return isAccountName(name) ? name : undefined;
}
