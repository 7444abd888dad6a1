/**
 * API tokens: `hf_` and 256 random bits, of which the catalogue keeps the SHA-256 and the first letters. A token acts for its
 * owner and never may more than they may at that moment.
 */
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { sortableId } from '../../base/sortable-id.ts';
import { storable } from '../../catalogue/transaction.ts';
import { isAtLeast, type Role, roleIn } from '../../model/principal.ts';
import { accountByName, heldRoles } from '../accounts/find-account.ts';
import { effectiveRoles } from '../accounts/held-roles.ts';
import { requireWorkspace } from '../accounts/workspaces.ts';
import { type Asker, type AuthUses, actorOf, forbidden } from '../auth-uses.ts';
import { recordAudit } from './audit.ts';
import { endDownloadsOf } from './downloads.ts';
import { hashOf, newSecretText } from './random-text.ts';

export const tokenPrefix = 'hf_';

export interface NewToken {
  /** Whose it is: oneself; an owner, or who works on the server's machine, may make one for others. */
  readonly user: string;
  /** What it is for; one name per owner. */
  readonly title: string;
  readonly role: Role;
  /** `*`: wherever the owner has a role. */
  readonly workspace: string;
  /** Absent: every source there. */
  readonly sources?: readonly string[];
  /** Absent: it never expires. */
  readonly expiresAtMs?: number;
}

export interface TokenView {
  readonly id: string;
  readonly title: string;
  readonly user: string;
  /** The first letters, to tell it by. */
  readonly prefix: string;
  readonly role: Role;
  readonly workspace: string;
  readonly sources?: readonly string[];
  readonly createdAtMs: number;
  readonly expiresAtMs?: number;
  readonly lastUsedAtMs?: number;
  readonly revokedAtMs?: number;
}

/** `token` is shown this once. `auth.forbidden` for a role its owner does not have there; `request.invalid`. */
export async function createToken(
  wanted: NewToken,
  asker: Asker,
  uses: AuthUses,
): Promise<{ readonly id: string; readonly token: Secret }> {
  const { db } = uses.catalogue;
  const nowMs = uses.clock.nowMs();
  const owner = await accountByName(wanted.user, db);
  requireMayMake(asker, owner);
  await requireWorkspace(wanted.workspace, db);
  if (wanted.expiresAtMs !== undefined && wanted.expiresAtMs <= nowMs)
    throw invalid('a token that has expired already', 'Give a later time.');
  const title = wanted.title.trim();
  if (!/^[^\p{C}/]{1,80}$/u.test(title))
    throw invalid('that is no title for a token', 'Up to 80 characters, without slashes.');
  const roles = effectiveRoles(await heldRoles(owner.id, db));
  requireOwned(owner.name, wanted, roles);
  const same = await db
    .selectFrom('token')
    .select('id')
    .where('userId', '=', owner.id)
    .where('title', '=', title)
    .where('revokedAtMs', 'is', null)
    .executeTakeFirst();
  if (same !== undefined)
    throw invalid(`«${owner.name}» has a token «${title}» already`, 'Revoke that one, or take another title.');
  const token = `${tokenPrefix}${newSecretText()}`;
  const id = sortableId(nowMs);
  const { role, workspace, sources, expiresAtMs } = wanted;
  await db
    .insertInto('token')
    .values({
      id,
      title,
      prefix: token.slice(0, 9),
      hash: hashOf(token),
      userId: owner.id,
      role,
      workspace,
      sources: sources === undefined ? null : JSON.stringify([...new Set(sources)]),
      createdAtMs: nowMs,
      expiresAtMs: expiresAtMs ?? null,
    })
    .execute();
  const facts = { role, workspace, ...(sources === undefined ? {} : { sources: sources.join(' ') }) };
  const { principal, address } = asker;
  await recordAudit(
    {
      actor: actorOf(principal),
      action: 'token.create',
      subject: `${owner.name}/${title}`,
      outcome: 'done',
      address,
      facts,
    },
    uses,
  );
  return { id, token: new Secret(token) };
}

/** All of one owner, or of everybody; the newest first. Memory: the whole list. */
export async function listTokens(
  filter: { readonly user?: string },
  { catalogue }: Pick<AuthUses, 'catalogue'>,
): Promise<TokenView[]> {
  let query = catalogue.db
    .selectFrom('token as t')
    .innerJoin('account as a', 'a.id', 't.userId')
    .selectAll('t')
    .select('a.name')
    .orderBy('t.id', 'desc');
  if (filter.user !== undefined) query = query.where('a.name', '=', storable(filter.user.toLowerCase()));
  const rows = await query.execute();
  return rows.map((row) => ({
    id: row.id,
    title: row.title,
    user: row.name,
    prefix: row.prefix,
    role: row.role as Role,
    workspace: row.workspace,
    ...(row.sources === null ? {} : { sources: JSON.parse(row.sources) as string[] }),
    createdAtMs: row.createdAtMs,
    ...(row.expiresAtMs === null ? {} : { expiresAtMs: row.expiresAtMs }),
    ...(row.lastUsedAtMs === null ? {} : { lastUsedAtMs: row.lastUsedAtMs }),
    ...(row.revokedAtMs === null ? {} : { revokedAtMs: row.revokedAtMs }),
  }));
}

/** From now on it says nothing, nor do links made with it. Its owner may, and every admin. `user.unknown` (also where it is not one's own), twice is no error. */
export async function revokeToken(id: string, asker: Asker, uses: AuthUses): Promise<{ readonly title: string }> {
  const { db } = uses.catalogue;
  const found = await db
    .selectFrom('token as t')
    .innerJoin('account as a', 'a.id', 't.userId')
    .select(['t.title', 't.userId', 't.revokedAtMs', 'a.name'])
    .where('t.id', '=', storable(id))
    .executeTakeFirst();
  const { principal, address } = asker;
  const rules = principal.sources === undefined && isAtLeast(roleIn(principal), 'admin');
  const may = rules || (principal.kind === 'user' && principal.userId === found?.userId);
  if (found === undefined || !may) {
    throw new HoldfastError({
      code: 'user.unknown',
      message: 'there is no such token',
      remedy: 'See: holdfast token list',
    });
  }
  if (found.revokedAtMs !== null) return { title: found.title };
  await db.updateTable('token').set({ revokedAtMs: uses.clock.nowMs() }).where('id', '=', id).execute();
  await endDownloadsOf({ account: found.name, title: found.title }, db);
  const subject = `${found.name}/${found.title}`;
  await recordAudit({ actor: actorOf(principal), action: 'token.revoke', subject, outcome: 'done', address }, uses);
  return { title: found.title };
}

function requireMayMake({ principal }: Asker, owner: { readonly id: string; readonly name: string }): void {
  if (principal.kind === 'user' && principal.userId === owner.id) return;
  if (principal.kind !== 'token' && roleIn(principal) === 'owner') return;
  throw forbidden(
    principal.kind === 'token'
      ? 'a token makes no further tokens'
      : `${principal.name} may not make a token for «${owner.name}»`,
    'Everybody makes their own, signed in; an owner can for others.',
  );
}

function requireOwned(owner: string, { role, workspace }: NewToken, roles: ReadonlyMap<string, Role>): void {
  const held =
    workspace === '*'
      ? [...roles.values()].reduce<Role | undefined>(
          (most, one) => (isAtLeast(one, most ?? 'viewer') ? one : most),
          undefined,
        )
      : roleIn({ kind: 'user', name: owner, roles }, workspace);
  if (isAtLeast(held, role)) return;
  const where = workspace === '*' ? 'anywhere' : `in ${workspace}`;
  throw forbidden(`«${owner}» is not ${role} ${where}, so no token of theirs can be`, 'Ask for a lesser role.');
}

function invalid(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'request.invalid', message, remedy });
}
