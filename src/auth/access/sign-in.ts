/** Signing in with a name and a password, and the second factor where there is one. */
import type { Secret } from '../../base/secrets.ts';
import { accountById, findAccount } from '../accounts/find-account.ts';
import type { AuthUses, Origin, Sealing } from '../auth-uses.ts';
import { refused } from '../auth-uses.ts';
import { takeSecondFactor } from '../factors/second-factor.ts';
import { hashPassword, verifyPassword } from '../passwords/password-hash.ts';
import { countAttempt, giveBack } from './attempts.ts';
import { recordAudit } from './audit.ts';
import { beginFlow, lookAtFlow, takeFlow } from './flows.ts';
import { type SignedIn, startSession } from './sessions.ts';

/** How long a password that was right waits for its second factor. */
const secondFactorMs = 5 * 60_000;

/** The password was right; `signInWithSecondFactor` needs this and a code. */
export interface SecondFactorNeeded {
  readonly flow: Secret;
}

/**
 * One step: name and password. A name that is unknown, disabled or without a password is refused as a wrong password is,
 * after the same work. `auth.refused`, `auth.limited`.
 */
export async function signInWithPassword(
  { name, password }: { readonly name: string; readonly password: Secret },
  origin: Origin,
  uses: AuthUses,
): Promise<SignedIn | SecondFactorNeeded> {
  const { db } = uses.catalogue;
  const given = name.trim().toLowerCase();
  const attempt = await countAttempt('password', { account: given, address: origin.address }, uses);
  const account = await findAccount(given, db);
  const { right, outdated } = await verifyPassword(password, account?.passwordHash);
  if (account === undefined || !right || account.disabled !== 0) {
    // An unknown name is not written down: it may be a password that was typed into the wrong field.
    const who = account === undefined ? { actor: 'nobody' } : { actor: account.name, subject: account.name };
    await recordAudit({ ...who, action: 'sign-in', outcome: 'refused', address: origin.address }, uses);
    throw refused(
      'the name or the password is wrong',
      'Try again; who looks after this server can set a new password.',
    );
  }
  await giveBack(attempt, uses);
  if (outdated) {
    const passwordHash = await hashPassword(password);
    await db
      .updateTable('account')
      .set({ passwordHash })
      .where('id', '=', account.id)
      .where('passwordHash', '=', account.passwordHash)
      .execute();
  }
  if (account.totpSecret === null) return await startSession(account, 'password', origin, uses);
  return { flow: await beginFlow({ purpose: 'second-factor', userId: account.id, forMs: secondFactorMs }, uses) };
}

/**
 * The other step: a code of the authenticator, or a recovery code, which works once. A wrong code leaves the step open, within
 * the limit on attempts. `auth.refused`, `auth.limited`.
 */
export async function signInWithSecondFactor(
  { flow, code }: { readonly flow: Secret; readonly code: string },
  origin: Origin,
  uses: AuthUses & { readonly sealing: Sealing },
): Promise<SignedIn> {
  const { userId } = await lookAtFlow('second-factor', flow, uses);
  const account = await accountById(userId ?? '', uses.catalogue.db);
  const { id, name } = account;
  const attempt = await countAttempt('code', { account: id, address: origin.address }, uses);
  const factor = account.disabled === 0 ? await takeSecondFactor(account, code, uses) : undefined;
  if (factor === undefined) {
    const facts = { factor: 'second' };
    await recordAudit(
      { actor: name, subject: name, action: 'sign-in', outcome: 'refused', address: origin.address, facts },
      uses,
    );
    throw refused('the code is wrong, or was used before', 'Wait for the next one, or use one of the recovery codes.');
  }
  await takeFlow('second-factor', flow, uses);
  await giveBack(attempt, uses);
  return await startSession(account, factor === 'totp' ? 'password+totp' : 'password+recovery', origin, uses);
}
