/** Codes of an authenticator app: TOTP (RFC 6238), SHA-1, six digits, 30 seconds, as every app knows them. */
import { Secret as Key, TOTP } from 'otpauth';
import { Secret } from '../../base/secrets.ts';
import { countAttempt, giveBack } from '../access/attempts.ts';
import { recordAudit } from '../access/audit.ts';
import { beginFlow, lookAtFlow, takeFlow } from '../access/flows.ts';
import { endSessionsOf, requireRecentSignIn } from '../access/sessions.ts';
import { accountById, accountByName } from '../accounts/find-account.ts';
import { requireMayRule } from '../accounts/rights.ts';
import { type Asker, type AuthUses, actorOf, exclusively, forbidden, refused, type Sealing } from '../auth-uses.ts';
import { newRecoveryCodes } from './recovery-codes.ts';

const stepMs = 30_000;
const enrolMs = 15 * 60_000;
/** Clocks differ: the code before and the one after are taken, too. */
const tolerance = 1;

type SealingUses = AuthUses & { readonly sealing: Sealing };

export interface TotpOffer {
  /** For `confirmTotp`. */
  readonly flow: Secret;
  /** Base 32, to be typed. */
  readonly key: Secret;
  /** `otpauth://…`, to be shown as a QR code. */
  readonly uri: Secret;
}

/** Offers a new second factor to who is signed in, recently. Nothing is changed until a code of it was given. */
export async function beginTotp(
  { userId, session }: { readonly userId: string; readonly session: { readonly createdAtMs: number } },
  uses: SealingUses,
): Promise<TotpOffer> {
  requireRecentSignIn(session, uses);
  const account = await accountById(userId, uses.catalogue.db);
  if (account.totpSecret !== null) throw there();
  const key = new Key({ size: 20 });
  const sealed = uses.sealing.seal(new Secret(key.base32), sealedFor(userId));
  const flow = await beginFlow({ purpose: 'totp', userId, document: { sealed }, forMs: enrolMs }, uses);
  const uri = new TOTP({ issuer: 'Holdfast', label: account.name, secret: key }).toString();
  return { flow, key: new Secret(key.base32), uri: new Secret(uri) };
}

/**
 * The first code is right: from now on a password alone lets nobody in. Other sessions end. Gives the recovery codes, which
 * are shown this once. `auth.refused`, `auth.limited`.
 */
export async function confirmTotp(
  {
    userId,
    flow,
    code,
    keepSession,
  }: { readonly userId: string; readonly flow: Secret; readonly code: string; readonly keepSession: string },
  address: string,
  uses: SealingUses,
): Promise<{ readonly recoveryCodes: readonly Secret[] }> {
  const begun = await lookAtFlow<{ sealed: string }>('totp', flow, uses);
  if (begun.userId !== userId) throw refused('this was begun by somebody else', 'Begin again.');
  const attempt = await countAttempt('code', { account: userId, address }, uses);
  const { sealed } = begun.document;
  const step = stepOf(code, uses.sealing.open(sealed, sealedFor(userId)), uses.clock.nowMs());
  if (step === undefined)
    throw refused('the code is wrong', 'Look at the clock of the phone, and give the code it shows now.');
  await takeFlow('totp', flow, uses);
  await giveBack(attempt, uses);
  const { codes, stored } = newRecoveryCodes();
  const { name } = await accountById(userId, uses.catalogue.db);
  await exclusively(uses, async (db) => {
    await db
      .updateTable('account')
      .set({ totpSecret: sealed, totpStep: step, recoveryCodes: stored })
      .where('id', '=', userId)
      .execute();
    await endSessionsOf(userId, db, keepSession);
    await recordAudit({ actor: name, action: 'user.add-totp', subject: name, outcome: 'done', address }, uses, db);
  });
  return { recoveryCodes: codes };
}

/** New recovery codes in place of those before; shown this once. */
export async function renewRecoveryCodes(
  { userId, session }: { readonly userId: string; readonly session: { readonly createdAtMs: number } },
  address: string,
  uses: AuthUses,
): Promise<{ readonly recoveryCodes: readonly Secret[] }> {
  requireRecentSignIn(session, uses);
  const { name, totpSecret } = await accountById(userId, uses.catalogue.db);
  if (totpSecret === null) throw forbidden('there is no second factor to recover from', 'Add one first.');
  const { codes, stored } = newRecoveryCodes();
  await uses.catalogue.db.updateTable('account').set({ recoveryCodes: stored }).where('id', '=', userId).execute();
  await recordAudit({ actor: name, action: 'user.recovery-codes', subject: name, outcome: 'done', address }, uses);
  return { recoveryCodes: codes };
}

/** Takes one's own second factor away. */
export async function removeTotp(
  { userId, session }: { readonly userId: string; readonly session: { readonly createdAtMs: number } },
  address: string,
  uses: AuthUses,
): Promise<void> {
  requireRecentSignIn(session, uses);
  const { name } = await accountById(userId, uses.catalogue.db);
  await drop({ id: userId, name }, { name, address }, uses);
}

/** Takes away the second factor of who lost it, by who rules over them. All their sessions end. */
export async function resetTotp(name: string, asker: Asker, uses: AuthUses): Promise<{ readonly hadOne: boolean }> {
  const account = await accountByName(name, uses.catalogue.db);
  await requireMayRule(asker, account, uses.catalogue.db);
  await drop(account, { name: actorOf(asker.principal), address: asker.address }, uses);
  await endSessionsOf(account.id, uses.catalogue.db);
  return { hadOne: account.totpSecret !== null };
}

async function drop(
  { id, name }: { readonly id: string; readonly name: string },
  by: { readonly name: string; readonly address?: string },
  uses: AuthUses,
): Promise<void> {
  await exclusively(uses, async (db) => {
    await db
      .updateTable('account')
      .set({ totpSecret: null, totpStep: null, recoveryCodes: null })
      .where('id', '=', id)
      .execute();
    const entry = {
      actor: by.name,
      action: 'user.reset-totp',
      subject: name,
      outcome: 'done',
      address: by.address,
    } as const;
    await recordAudit(entry, uses, db);
  });
}

/** What the key of an account is sealed for. */
export function sealedFor(userId: string): string {
  return `totp ${userId}`;
}

/** Which step of 30 seconds a code is of, now or one beside it; `undefined` if it is of none. */
export function stepOf(code: string, key: Secret, nowMs: number): number | undefined {
  const digits = code.replace(/\s/g, '');
  if (!/^\d{6}$/.test(digits)) return undefined;
  const totp = new TOTP({ secret: Key.fromBase32(key.reveal()) });
  const delta = totp.validate({ token: digits, window: tolerance, timestamp: nowMs });
  return delta === null ? undefined : Math.floor(nowMs / stepMs) + delta;
}

function there(): Error {
  return forbidden('there is a second factor already', 'Remove it first, then add the new one.');
}
