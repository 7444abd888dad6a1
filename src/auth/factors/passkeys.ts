/**
 * Passkeys (WebAuthn Level 3) by @simplewebauthn/server. Each asks for the person (user verification), so one of them is two
 * factors by itself; each is found by the browser without a name (discoverable).
 */
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { storable } from '../../catalogue/transaction.ts';
import { countAttempt, giveBack } from '../access/attempts.ts';
import { recordAudit } from '../access/audit.ts';
import { beginFlow, takeFlow } from '../access/flows.ts';
import { requireRecentSignIn, type SignedIn, startSession } from '../access/sessions.ts';
import { accountById, accountByName } from '../accounts/find-account.ts';
import { requireMayRule, requireWayIn } from '../accounts/rights.ts';
import { type Asker, type AuthUses, actorOf, exclusively, forbidden, type Origin, refused } from '../auth-uses.ts';

/** As people reach the server: `https://backup.example`. Passkeys belong to its host name. */
export interface Site {
  readonly url: string;
}

const flowMs = 5 * 60_000;
/** It takes longer to load than all else here, and 20 MB. */
const webauthn = () => import('@simplewebauthn/server');
const text = z.string().max(20_000);
const registration = z.looseObject({
  id: text,
  rawId: text,
  type: z.literal('public-key'),
  response: z.looseObject({
    clientDataJSON: text,
    attestationObject: text,
    transports: z.array(text).max(10).optional(),
  }),
});
const assertion = z.looseObject({
  id: text,
  rawId: text,
  type: z.literal('public-key'),
  response: z.looseObject({
    clientDataJSON: text,
    authenticatorData: text,
    signature: text,
    userHandle: text.nullish(),
  }),
});

export interface PasskeyView {
  readonly id: string;
  readonly title: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs?: number;
}

/** `options` are for `navigator.credentials.create`, `flow` for `finishPasskey`. The sign-in must be recent. */
export async function beginPasskey(
  { userId, session }: { readonly userId: string; readonly session: { readonly createdAtMs: number } },
  site: Site,
  uses: AuthUses,
): Promise<{ readonly flow: Secret; readonly options: object }> {
  requireRecentSignIn(session, uses);
  const { rpID } = relyingParty(site);
  const { name } = await accountById(userId, uses.catalogue.db);
  const known = await uses.catalogue.db.selectFrom('passkey').select(['id']).where('userId', '=', userId).execute();
  const { generateRegistrationOptions } = await webauthn();
  const options = await generateRegistrationOptions({
    rpName: 'Holdfast',
    rpID,
    userName: name,
    userID: new TextEncoder().encode(userId),
    attestationType: 'none',
    excludeCredentials: known,
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    timeout: flowMs,
  });
  const document = { challenge: options.challenge };
  return { flow: await beginFlow({ purpose: 'passkey', userId, document, forMs: flowMs }, uses), options };
}

/** Keeps what `navigator.credentials.create` made. `auth.refused` for what does not answer the challenge, or is known already. */
export async function finishPasskey(
  {
    userId,
    flow,
    response,
    title,
  }: { readonly userId: string; readonly flow: Secret; readonly response: unknown; readonly title: string },
  { site, address }: { readonly site: Site; readonly address: string },
  uses: AuthUses,
): Promise<{ readonly id: string }> {
  const begun = await takeFlow<{ challenge: string }>('passkey', flow, uses);
  if (begun.userId !== userId) throw refused('this was begun by somebody else', 'Begin again.');
  const { rpID, origin } = relyingParty(site);
  const { credential } = await judged(async () => {
    const { verifyRegistrationResponse } = await webauthn();
    const found = await verifyRegistrationResponse({
      response: registration.parse(response) as unknown as RegistrationResponseJSON,
      expectedChallenge: begun.document.challenge,
      expectedOrigin: origin,
      expectedRPID: rpID,
      requireUserVerification: true,
    });
    return found.verified ? found.registrationInfo : undefined;
  });
  const { name } = await accountById(userId, uses.catalogue.db);
  const nowMs = uses.clock.nowMs();
  const { numInsertedOrUpdatedRows } = await uses.catalogue.db
    .insertInto('passkey')
    .values({
      id: credential.id,
      userId,
      publicKey: Buffer.from(credential.publicKey).toString('base64url'),
      counter: credential.counter,
      transports: JSON.stringify(credential.transports ?? []),
      title: storable(title.trim().slice(0, 80)) || 'Passkey',
      createdAtMs: nowMs,
    })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirstOrThrow();
  if (numInsertedOrUpdatedRows !== 1n) throw refused('this passkey is known already', 'Sign in with it.');
  await recordAudit({ actor: name, action: 'user.add-passkey', subject: name, outcome: 'done', address }, uses);
  return { id: credential.id };
}

/** For anybody: `options` are for `navigator.credentials.get`, `flow` for `signInWithPasskey`. `auth.limited`. */
export async function beginPasskeySignIn(
  site: Site,
  address: string,
  uses: AuthUses,
): Promise<{ readonly flow: Secret; readonly options: object }> {
  await countAttempt('begin', { address }, uses);
  const { rpID } = relyingParty(site);
  const { generateAuthenticationOptions } = await webauthn();
  const options = await generateAuthenticationOptions({ rpID, userVerification: 'required', timeout: flowMs });
  const document = { challenge: options.challenge };
  return { flow: await beginFlow({ purpose: 'passkey-sign-in', document, forMs: flowMs }, uses), options };
}

/** `auth.refused` for everything that may be wrong, `auth.limited`. */
export async function signInWithPasskey(
  { flow, response }: { readonly flow: Secret; readonly response: unknown },
  { site, origin }: { readonly site: Site; readonly origin: Origin },
  uses: AuthUses,
): Promise<SignedIn> {
  const attempt = await countAttempt('passkey', { address: origin.address }, uses);
  try {
    const account = await prove(
      await takeFlow<{ challenge: string }>('passkey-sign-in', flow, uses),
      response,
      site,
      uses,
    );
    await giveBack(attempt, uses);
    return await startSession(account, 'passkey', origin, uses);
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'auth.refused') {
      const facts = { method: 'passkey' };
      await recordAudit(
        { actor: 'nobody', action: 'sign-in', outcome: 'refused', address: origin.address, facts },
        uses,
      );
    }
    throw error;
  }
}

async function prove(
  { document }: { readonly document: { readonly challenge: string } },
  response: unknown,
  site: Site,
  uses: AuthUses,
) {
  const { db } = uses.catalogue;
  const { rpID, origin } = relyingParty(site);
  const given = await judged(async () => assertion.parse(response));
  const key = await db.selectFrom('passkey').selectAll().where('id', '=', storable(given.id)).executeTakeFirst();
  if (key === undefined) throw unproven();
  const { newCounter } = await judged(async () => {
    const { verifyAuthenticationResponse } = await webauthn();
    const found = await verifyAuthenticationResponse({
      response: given as unknown as AuthenticationResponseJSON,
      expectedChallenge: document.challenge,
      expectedOrigin: origin,
      expectedRPID: rpID,
      requireUserVerification: true,
      credential: {
        id: key.id,
        publicKey: new Uint8Array(Buffer.from(key.publicKey, 'base64url')),
        counter: key.counter,
      },
    });
    return found.verified ? found.authenticationInfo : undefined;
  });
  const handle = given.response.userHandle;
  if (typeof handle === 'string' && Buffer.from(handle, 'base64url').toString() !== key.userId) throw unproven();
  const account = await accountById(key.userId, db);
  if (account.disabled !== 0) throw unproven();
  // Where an authenticator counts, two copies of it do not go on together: only one of them takes each step.
  const { numUpdatedRows } = await db
    .updateTable('passkey')
    .set({ counter: newCounter, lastUsedAtMs: uses.clock.nowMs() })
    .where('id', '=', key.id)
    .where('counter', '=', key.counter)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw unproven();
  return account;
}

export async function listPasskeys(userId: string, { catalogue }: Pick<AuthUses, 'catalogue'>): Promise<PasskeyView[]> {
  const rows = await catalogue.db
    .selectFrom('passkey')
    .select(['id', 'title', 'createdAtMs', 'lastUsedAtMs'])
    .where('userId', '=', userId)
    .orderBy('createdAtMs')
    .execute();
  return rows.map(({ lastUsedAtMs, ...rest }) => ({ ...rest, ...(lastUsedAtMs === null ? {} : { lastUsedAtMs }) }));
}

/** One's own. `user.unknown`; `auth.forbidden` if nothing else would let one in. */
export async function removePasskey(
  {
    userId,
    id,
    session,
  }: { readonly userId: string; readonly id: string; readonly session: { readonly createdAtMs: number } },
  address: string,
  uses: AuthUses,
): Promise<void> {
  requireRecentSignIn(session, uses);
  await exclusively(uses, async (db) => {
    const { name } = await accountById(userId, db);
    const { numDeletedRows } = await db
      .deleteFrom('passkey')
      .where('id', '=', storable(id))
      .where('userId', '=', userId)
      .executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) {
      const remedy = 'List them again.';
      throw new HoldfastError({ code: 'user.unknown', message: 'there is no such passkey', remedy });
    }
    await requireWayIn(userId, db);
    const entry = { actor: name, action: 'user.remove-passkey', subject: name, outcome: 'done', address } as const;
    await recordAudit(entry, uses, db);
  });
}

/** All passkeys of somebody whose device was lost, by who rules over them; gives how many. */
export async function resetPasskeys(name: string, asker: Asker, uses: AuthUses): Promise<number> {
  const account = await accountByName(name, uses.catalogue.db);
  await requireMayRule(asker, account, uses.catalogue.db);
  const { numDeletedRows } = await uses.catalogue.db
    .deleteFrom('passkey')
    .where('userId', '=', account.id)
    .executeTakeFirstOrThrow();
  const { principal, address } = asker;
  const facts = { passkeys: Number(numDeletedRows) };
  await recordAudit(
    { actor: actorOf(principal), action: 'user.reset-passkeys', subject: name, outcome: 'done', address, facts },
    uses,
  );
  return facts.passkeys;
}

function relyingParty({ url }: Site): { readonly rpID: string; readonly origin: string } {
  const { hostname, origin, protocol } = new URL(url);
  const isSafe = protocol === 'https:' || hostname === 'localhost';
  if (isSafe && !/^[\d.]+$|^\[/.test(hostname)) return { rpID: hostname, origin };
  throw forbidden(
    `browsers know no passkeys at ${origin}`,
    'They need a host name and https: set server.url to the address by which people reach the server.',
  );
}

/** Whatever a library says of an answer that is not what it should be: it is refused, and nothing more is told. */
async function judged<T>(judge: () => Promise<T | undefined>): Promise<T> {
  try {
    const found = await judge();
    if (found !== undefined) return found;
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError({ ...unprovenDetails, cause: error });
  }
  throw unproven();
}

const unprovenDetails = {
  code: 'auth.refused',
  message: 'the passkey was not accepted',
  remedy: 'Begin again; or sign in another way and add the passkey anew.',
} as const;

function unproven(): HoldfastError {
  return new HoldfastError(unprovenDetails);
}
