/** Accounts with tokens and sessions, put straight into a catalogue. */
import { hashOf, newSecretText } from '../../src/auth/access/random-text.ts';
import { sortableId } from '../../src/base/sortable-id.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';

export interface Person {
  readonly userId: string;
  readonly name: string;
  /** What follows `Authorization: Bearer`. */
  readonly token: string;
  /** What the session cookie holds. */
  readonly session: string;
}

/** `held` is `ROLE`, `ROLE:WORKSPACE` or `ROLE:WORKSPACE:SOURCE`: the role of the account, and what its token is held to. */
export async function addPerson({ db }: Catalogue, held: string): Promise<Person> {
  const [role, workspace = '*', source] = held.split(':');
  const nowMs = Date.now();
  const userId = sortableId(nowMs);
  const name = `p-${userId.toLowerCase()}`;
  const person = { userId, name, token: `hf_${newSecretText()}`, session: newSecretText() };
  const account = { id: userId, name, email: null, passwordHash: null, totpSecret: null, totpStep: null };
  await db
    .insertInto('account')
    .values({ ...account, recoveryCodes: null, disabled: 0, origin: 'ui', createdAtMs: nowMs, lastSeenAtMs: null })
    .execute();
  if (role !== 'none') {
    await db.insertInto('membership').values({ userId, workspace, role, origin: 'ui' }).execute();
  }
  await db
    .insertInto('token')
    .values({
      ...{ id: sortableId(nowMs), title: held, prefix: 'hf_', hash: hashOf(person.token), userId },
      ...{ role: role === 'none' ? 'owner' : role, workspace: source === undefined ? '*' : workspace },
      ...{ sources: source === undefined ? null : JSON.stringify([source]), createdAtMs: nowMs },
      ...{ expiresAtMs: null, lastUsedAtMs: null, revokedAtMs: null },
    })
    .execute();
  const times = { createdAtMs: nowMs, seenAtMs: nowMs, expiresAtMs: nowMs + 3_600_000 };
  await db
    .insertInto('session')
    .values({
      idHash: hashOf(person.session),
      userId,
      ...times,
      method: 'password',
      address: '127.0.0.1',
      agent: 'test',
    })
    .execute();
  return person;
}
