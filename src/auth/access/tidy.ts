/** What is over is removed: the daemon calls it once an hour. */
import type { AuthUses } from '../auth-uses.ts';
import { tidyAttempts } from './attempts.ts';
import { idleMs } from './sessions.ts';

/** How long the audit log is kept unless somebody says otherwise. */
const usualAuditMs = 400 * 86_400_000;
const revokedTokenMs = 90 * 86_400_000;

/** Sessions and steps that ended, attempts that no longer count, tokens revoked long ago, and entries of the audit log beyond `auditMs`. */
export async function tidyAuth(
  { auditMs = usualAuditMs }: { readonly auditMs?: number },
  { catalogue, clock }: AuthUses,
): Promise<void> {
  const { db } = catalogue;
  const nowMs = clock.nowMs();
  await db
    .deleteFrom('session')
    .where((eb) => eb.or([eb('expiresAtMs', '<=', nowMs), eb('seenAtMs', '<=', nowMs - idleMs)]))
    .execute();
  await db.deleteFrom('flow').where('expiresAtMs', '<=', nowMs).execute();
  await tidyAttempts({ catalogue, clock });
  await db
    .deleteFrom('token')
    .where('revokedAtMs', '<', nowMs - revokedTokenMs)
    .execute();
  await db
    .deleteFrom('audit')
    .where('atMs', '<', nowMs - auditMs)
    .execute();
}
