/** What counts as a second factor after a password. */
import { recordAudit } from '../access/audit.ts';
import type { Account } from '../accounts/find-account.ts';
import type { AuthUses, Sealing } from '../auth-uses.ts';
import { takeRecoveryCode } from './recovery-codes.ts';
import { sealedFor, stepOf } from './totp.ts';

/** Which one a code was, now used up; `undefined` if it was none. */
export async function takeSecondFactor(
  account: Account,
  code: string,
  uses: AuthUses & { readonly sealing: Sealing },
): Promise<'totp' | 'recovery' | undefined> {
  const { id, name, totpSecret } = account;
  if (totpSecret === null) return undefined;
  const step = stepOf(code, uses.sealing.open(totpSecret, sealedFor(id)), uses.clock.nowMs());
  if (step !== undefined) return (await useStep(id, step, uses)) ? 'totp' : undefined;
  if (!(await takeRecoveryCode(account, code, uses.catalogue.db))) return undefined;
  const left = (JSON.parse(account.recoveryCodes ?? '[]') as string[]).length - 1;
  await recordAudit({ actor: name, action: 'recovery-code', subject: name, outcome: 'done', facts: { left } }, uses);
  return 'recovery';
}

/** A code works once: its step and those before are used from then on (RFC 6238, 5.2), for all servers. */
async function useStep(id: string, step: number, { catalogue }: AuthUses): Promise<boolean> {
  const { numUpdatedRows } = await catalogue.db
    .updateTable('account')
    .set({ totpStep: step })
    .where('id', '=', id)
    .where((eb) => eb.or([eb('totpStep', 'is', null), eb('totpStep', '<', step)]))
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}
