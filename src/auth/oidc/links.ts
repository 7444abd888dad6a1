/** The providers an account is linked to. */
import { recordAudit } from '../access/audit.ts';
import { requireRecentSignIn } from '../access/sessions.ts';
import { accountById } from '../accounts/find-account.ts';
import { keepingAnOwner, requireWayIn } from '../accounts/rights.ts';
import type { AuthUses } from '../auth-uses.ts';

/** Their issuers. */
export async function listLinks(userId: string, { catalogue }: Pick<AuthUses, 'catalogue'>): Promise<string[]> {
  const rows = await catalogue.db
    .selectFrom('identity')
    .select('issuer')
    .where('userId', '=', userId)
    .orderBy('issuer')
    .execute();
  return rows.map((one) => one.issuer);
}

/**
 * Takes one's own links away, with the roles that groups gave: nobody would take those back any more. `auth.forbidden` if
 * nothing else would let one in, or if the last owner is one by a group.
 */
export async function removeLinks(
  { userId, session }: { readonly userId: string; readonly session: { readonly createdAtMs: number } },
  address: string,
  uses: AuthUses,
): Promise<void> {
  requireRecentSignIn(session, uses);
  await keepingAnOwner(uses, async (db) => {
    const { name } = await accountById(userId, db);
    const { numDeletedRows } = await db.deleteFrom('identity').where('userId', '=', userId).executeTakeFirstOrThrow();
    await db.deleteFrom('membership').where('userId', '=', userId).where('origin', '=', 'oidc').execute();
    await requireWayIn(userId, db);
    if (numDeletedRows === 0n) return;
    await recordAudit({ actor: name, action: 'user.unlink', subject: name, outcome: 'done', address }, uses, db);
  });
}
