/** Links that give one file of one snapshot, once, for a while: to a browser that sends no token, to `curl`, to a colleague. */
import { z } from 'zod';
import { type AuthUses, hashOf, type Maker, newSecretText, recogniseAgain } from '../auth/index.ts';
import { HoldfastError } from '../base/errors.ts';
import { Secret } from '../base/secrets.ts';
import type { Catalogue } from '../catalogue/open.ts';
import { type StoredFileRequest, storedFileRequest } from '../operations/snapshots/stored-file.ts';
import { isEverywhere, requireDeclaredPlace, requireSomewhere, requireSubject } from './authorize.ts';
import { findSubject } from './find-subject.ts';
import type { ApiUses } from './parts.ts';

interface Link {
  /** Whose name stands in the audit log. */
  readonly actor: string;
  readonly by: Maker;
  readonly input: StoredFileRequest;
  readonly forMs: number;
}

const kept = storedFileRequest
  .extend({ by: z.object({ userId: z.string(), token: z.string().optional() }) })
  .transform(({ by, ...input }) => ({ by, input }));

interface Uses {
  readonly catalogue: Catalogue;
  readonly nowMs: number;
}

/** Gives what the link ends with; what is kept is its hash. */
export async function makeLink(
  { actor, by, input, forMs }: Link,
  { catalogue, nowMs }: Uses,
): Promise<{ readonly token: Secret; readonly expiresAtMs: number }> {
  const token = newSecretText();
  const expiresAtMs = nowMs + forMs;
  await catalogue.db.deleteFrom('download').where('expiresAtMs', '<', nowMs).execute();
  await catalogue.db
    .insertInto('download')
    .values({
      tokenHash: hashOf(token),
      actor,
      input: JSON.stringify({ ...input, by }),
      createdAtMs: nowMs,
      expiresAtMs,
      usedAtMs: null,
    })
    .execute();
  return { token: new Secret(token), expiresAtMs };
}

/** Of several who use it at once one succeeds. `object.unknown`, the same for one that is unknown, used, taken back, and too old. */
export async function takeLink(
  token: string,
  { catalogue, nowMs }: Uses,
): Promise<{ readonly actor: string; readonly by: Maker; readonly input: StoredFileRequest }> {
  const row = await catalogue.db
    .updateTable('download')
    .set({ usedAtMs: nowMs })
    .where('tokenHash', '=', hashOf(token))
    .where('usedAtMs', 'is', null)
    .where('expiresAtMs', '>', nowMs)
    .returning(['actor', 'input'])
    .executeTakeFirst();
  // Of links made before it was remembered who made them, nobody can say whether they may still be followed.
  const found = row && kept.safeParse(JSON.parse(row.input));
  if (row && found?.success) return { actor: row.actor, ...found.data };
  throw new HoldfastError({
    code: 'object.unknown',
    message: 'this link is no good: it was used, is too old, was taken back, or never was one',
    remedy: 'Make a new one: POST /api/downloads, or in the pages of the server.',
  });
}

/** `auth.forbidden` unless who made the link could make it now: it lets nobody in whom its maker could not. */
export async function requireMakerMay(
  by: Maker,
  input: StoredFileRequest,
  uses: ApiUses,
  parts: AuthUses,
): Promise<void> {
  try {
    const principal = await recogniseAgain(by, parts);
    const needed = 'restorer';
    requireSomewhere(principal, needed);
    if (input.repository !== undefined) requireDeclaredPlace(principal, input.repository, uses.config);
    if (isEverywhere(principal, needed)) return;
    const { subject } = await findSubject({ snapshots: [input.snapshot], in: input.repository }, uses);
    requireSubject(principal, needed, subject, uses.config);
  } catch (cause) {
    if (!(cause instanceof HoldfastError) || !cause.code.startsWith('auth.')) throw cause;
    throw new HoldfastError({
      code: 'auth.forbidden',
      message: 'this link is no good any more: who made it may not read this now',
      remedy: 'Ask somebody who may for a new one.',
      cause,
    });
  }
}
