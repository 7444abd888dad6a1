/**
 * The first owner. As long as there is none, a server prints a code when it starts; who can read its log or terminal becomes
 * owner with it. So a stranger on the network is not first. The other way is `holdfast user add NAME --role owner`.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../base/secrets.ts';
import { insertAccount } from '../accounts/accounts.ts';
import { accountName, canAnOwnerSignIn, findAccount, heldRoles } from '../accounts/find-account.ts';
import { effectiveRoles } from '../accounts/held-roles.ts';
import { type AuthUses, exclusively, forbidden, type Origin, refused, type Transacting } from '../auth-uses.ts';
import { hashPassword } from '../passwords/password-hash.ts';
import { requireGoodPassword } from '../passwords/password-rules.ts';
import { countAttempt, giveBack } from './attempts.ts';
import { recordAudit } from './audit.ts';
import { canonicalCode, hashOf, newTypedCode } from './random-text.ts';
import { type SignedIn, startSession } from './sessions.ts';

/** A start of the server makes a new one, so it need not live for ever. */
const codeMs = 7 * 24 * 3_600_000;

/** True as long as nobody who may do everything can sign in: then pages show the set-up instead of the sign-in. */
export async function isSetUpNeeded({ catalogue }: Pick<AuthUses, 'catalogue'>): Promise<boolean> {
  return !(await canAnOwnerSignIn(catalogue.db));
}

/**
 * At the start of a server: the code to print, once, where only who runs it reads; `undefined` if there is an owner. Each of
 * several servers has its own, and each of these works until there is an owner.
 */
export async function openSetUp({ catalogue, clock }: AuthUses): Promise<Secret | undefined> {
  if (!(await isSetUpNeeded({ catalogue }))) return undefined;
  const code = newTypedCode(4);
  const nowMs = clock.nowMs();
  const row = { purpose: 'set-up', userId: null, document: '{}', createdAtMs: nowMs, expiresAtMs: nowMs + codeMs };
  const tokenHash = hashOf(canonicalCode(code.reveal()));
  await catalogue.db
    .insertInto('flow')
    .values({ ...row, tokenHash })
    .execute();
  return code;
}

export interface SetUp {
  readonly code: string;
  readonly name: string;
  readonly email?: string;
  readonly password: Secret;
}

/** Makes the first owner and signs them in. `auth.refused`, `auth.forbidden` if there is one, `auth.limited`, `request.invalid`. */
export async function completeSetUp(setUp: SetUp, origin: Origin, uses: AuthUses): Promise<SignedIn> {
  if (!(await isSetUpNeeded(uses))) throw isDone();
  const attempt = await countAttempt('set-up', { address: origin.address }, uses);
  await requireCode(setUp.code, uses, origin);
  await giveBack(attempt, uses);
  const name = accountName(setUp.name);
  requireGoodPassword(setUp.password, { name, email: setUp.email });
  const passwordHash = await hashPassword(setUp.password);
  return await exclusively(uses, async (db) => {
    if (await canAnOwnerSignIn(db)) throw isDone();
    const id = await owner({ name, email: setUp.email, passwordHash }, uses.clock.nowMs(), db);
    await db.deleteFrom('flow').where('purpose', '=', 'set-up').execute();
    const entry = { actor: name, action: 'set-up', subject: name, outcome: 'done', address: origin.address } as const;
    await recordAudit(entry, uses, db);
    return await startSession({ id, name }, 'set-up', origin, uses, db);
  });
}

async function requireCode(code: string, { catalogue, clock }: AuthUses, origin: Origin): Promise<void> {
  const given = Buffer.from(hashOf(canonicalCode(code)));
  const codes = await catalogue.db
    .selectFrom('flow')
    .select('tokenHash')
    .where('purpose', '=', 'set-up')
    .where('expiresAtMs', '>', clock.nowMs())
    .execute();
  if (codes.some(({ tokenHash }) => timingSafeEqual(Buffer.from(tokenHash), given))) return;
  const entry = { actor: 'nobody', action: 'set-up', outcome: 'refused', address: origin.address } as const;
  await recordAudit(entry, { catalogue, clock });
  throw refused(
    'that is not the set-up code',
    'It was printed when the server started: read its log, or start it again. Or, on its machine: holdfast user add NAME --role owner',
  );
}

/** A new account; or one that is declared as owner and has no way to sign in yet, which gets the password. */
async function owner(
  account: { readonly name: string; readonly email?: string; readonly passwordHash: string },
  nowMs: number,
  db: Transacting,
): Promise<string> {
  const there = await findAccount(account.name, db);
  if (there === undefined) {
    return await insertAccount({ ...account, origin: 'ui', roles: new Map([['*', 'owner']]) }, nowMs, db);
  }
  if (there.disabled === 0 && effectiveRoles(await heldRoles(there.id, db)).get('*') === 'owner') {
    await db.updateTable('account').set({ passwordHash: account.passwordHash }).where('id', '=', there.id).execute();
    return there.id;
  }
  throw forbidden(
    `there is a user «${account.name}» already, who is no owner`,
    'Take another name; or, on the machine of the server: holdfast user set-role NAME owner',
  );
}

function isDone(): Error {
  return forbidden('the set-up is done: there is an owner', 'Sign in.');
}
