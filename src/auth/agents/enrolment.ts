/** Who the agents are: tokens that let one in, once, and the keys that are known since. */
import { createHash, randomBytes } from 'node:crypto';
import { HoldfastError } from '../../base/errors.ts';
import { sortableId } from '../../base/sortable-id.ts';
import type { Catalogue } from '../../catalogue/open.ts';

/** How long a token is good. */
export const tokenMs = 3_600_000;

export const agentNameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface AgentRecord {
  readonly name: string;
  readonly version?: string;
  readonly enrolledAtMs: number;
  readonly seenAtMs?: number;
  readonly revokedAtMs?: number;
  /** What it said of its machine: hostname, platform. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A new secret for an agent of that name; `replace` allows one that is there already to be followed by another. `usage.invalid`. */
export async function createEnrolment(
  catalogue: Catalogue,
  { agent, replace }: { readonly agent: string; readonly replace: boolean },
): Promise<{ secret: string; expiresAtMs: number }> {
  const known = await catalogue.db.selectFrom('agent').selectAll().where('name', '=', agent).executeTakeFirst();
  if (known && known.revokedAtMs === null && !replace) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `there is an agent «${agent}» already`,
      remedy: 'Choose another name; or give --replace if its machine is to join anew: the key it has now then ends.',
    });
  }
  const secret = randomBytes(32).toString('base64url');
  const createdAtMs = await catalogue.nowMs();
  const expiresAtMs = createdAtMs + tokenMs;
  await catalogue.db
    .insertInto('enrolment')
    .values({ tokenHash: hashOf(secret), agent, createdAtMs, expiresAtMs, usedAtMs: null })
    .execute();
  return { secret, expiresAtMs };
}

/** The name that a secret was given for, if it can still be used; says which of the reasons it is otherwise. `agent.refused`. */
export async function agentOfSecret(catalogue: Catalogue, secret: string): Promise<string> {
  const found = await catalogue.db
    .selectFrom('enrolment')
    .selectAll()
    .where('tokenHash', '=', hashOf(secret))
    .executeTakeFirst();
  if (!found) throw refused('this server has not given out the token, or has taken it back since');
  if (found.usedAtMs !== null) throw refused('the token was used before');
  if (found.expiresAtMs <= (await catalogue.nowMs())) throw refused('the token is older than an hour');
  return found.agent;
}

/**
 * Uses the secret up and remembers the key, both or neither: of two who come with the same token one is let in. Other tokens
 * for that name end: with one that was forgotten somewhere, a stranger would take the place of who has joined. `agent.refused`.
 */
export async function redeemEnrolment(
  catalogue: Catalogue,
  { secret, keyHash, facts }: { readonly secret: string; readonly keyHash: string; readonly facts: object },
): Promise<string> {
  const name = await agentOfSecret(catalogue, secret);
  const nowMs = await catalogue.nowMs();
  await catalogue.db.transaction().execute(async (db) => {
    const { numUpdatedRows } = await db
      .updateTable('enrolment')
      .set({ usedAtMs: nowMs })
      .where('tokenHash', '=', hashOf(secret))
      .where('usedAtMs', 'is', null)
      .executeTakeFirstOrThrow();
    if (Number(numUpdatedRows) !== 1) throw refused('the token was used before');
    await db.deleteFrom('enrolment').where('agent', '=', name).where('usedAtMs', 'is', null).execute();
    const row = { keyHash, enrolledAtMs: nowMs, revokedAtMs: null, seenAtMs: null, version: null };
    const values = { ...row, id: sortableId(nowMs), facts: JSON.stringify(facts) };
    await db
      .insertInto('agent')
      .values({ name, ...values })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(values))
      .execute();
  });
  return name;
}

/** The agent whose key it is. `agent.refused` if it is nobody's, or was revoked. */
export async function agentOfKey(catalogue: Catalogue, keyHash: string): Promise<string> {
  const found = await catalogue.db.selectFrom('agent').selectAll().where('keyHash', '=', keyHash).executeTakeFirst();
  if (!found) {
    throw new HoldfastError({
      code: 'agent.refused',
      message: 'the server does not know the key of this agent',
      remedy: 'Another one has joined under its name, or the catalogue is a new one. Enrol it anew.',
    });
  }
  if (found.revokedAtMs === null) return found.name;
  throw new HoldfastError({
    code: 'agent.refused',
    message: `the agent «${found.name}» was revoked`,
    remedy: `If it is to work again: holdfast agent enrol ${found.name}`,
  });
}

/** Of those keys, the ones that may still connect. */
export async function standingKeys(catalogue: Catalogue, keyHashes: readonly string[]): Promise<Set<string>> {
  if (keyHashes.length === 0) return new Set();
  const rows = await catalogue.db
    .selectFrom('agent')
    .select('keyHash')
    .where('keyHash', 'in', [...keyHashes])
    .where('revokedAtMs', 'is', null)
    .execute();
  return new Set(rows.map((row) => row.keyHash));
}

/** It was heard of just now. */
export async function noteSeen(
  catalogue: Catalogue,
  name: string,
  said: { readonly version?: string; readonly facts?: object } = {},
): Promise<void> {
  const { version, facts } = said;
  await catalogue.db
    .updateTable('agent')
    .set({
      seenAtMs: await catalogue.nowMs(),
      ...(version === undefined ? {} : { version }),
      ...(facts === undefined ? {} : { facts: JSON.stringify(facts) }),
    })
    .where('name', '=', name)
    .execute();
}

/** Somebody was told that it is not to be heard of; until it is seen again, nobody is told once more. */
export async function markLost(catalogue: Catalogue, name: string): Promise<void> {
  const found = (await listAgents(catalogue)).find((one) => one.name === name);
  const facts = JSON.stringify({ ...found?.facts, lost: true });
  await catalogue.db.updateTable('agent').set({ facts }).where('name', '=', name).execute();
}

export async function listAgents(catalogue: Catalogue): Promise<AgentRecord[]> {
  const rows = await catalogue.db.selectFrom('agent').selectAll().orderBy('name').execute();
  return rows.map(({ name, version, enrolledAtMs, seenAtMs, revokedAtMs, facts }) => ({
    name,
    version: version ?? undefined,
    enrolledAtMs,
    seenAtMs: seenAtMs ?? undefined,
    revokedAtMs: revokedAtMs ?? undefined,
    facts: JSON.parse(facts) as Record<string, unknown>,
  }));
}

/** True once somebody was let in: the authority must then be the one they trust. */
export async function hasAgents(catalogue: Catalogue): Promise<boolean> {
  const row = await catalogue.db.selectFrom('agent').select('name').where('revokedAtMs', 'is', null).executeTakeFirst();
  return row !== undefined;
}

/** Ends its key and every token that waits for it; twice does no harm. `agent.unknown`. */
export async function revokeAgent(catalogue: Catalogue, name: string): Promise<void> {
  const nowMs = await catalogue.nowMs();
  await catalogue.db.transaction().execute(async (db) => {
    const { numDeletedRows } = await db
      .deleteFrom('enrolment')
      .where('agent', '=', name)
      .where('usedAtMs', 'is', null)
      .executeTakeFirstOrThrow();
    const known = await db.selectFrom('agent').select('name').where('name', '=', name).executeTakeFirst();
    if (!known && Number(numDeletedRows) === 0) {
      throw new HoldfastError({
        code: 'agent.unknown',
        message: `there is no agent «${name}»`,
        remedy: 'List them with: holdfast agent list',
      });
    }
    await db
      .updateTable('agent')
      .set({ revokedAtMs: nowMs })
      .where('name', '=', name)
      .where('revokedAtMs', 'is', null)
      .execute();
  });
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function refused(why: string): HoldfastError {
  return new HoldfastError({
    code: 'agent.refused',
    message: why,
    remedy: 'Make a new one on the server with: holdfast agent enrol NAME',
  });
}
