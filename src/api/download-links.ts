/** Links that give one file of one snapshot, once, for a while: to a browser that sends no token, to `curl`, to a colleague. */
import { hashOf, newSecretText } from '../auth/index.ts';
import { HoldfastError } from '../base/errors.ts';
import { Secret } from '../base/secrets.ts';
import type { Catalogue } from '../catalogue/open.ts';
import { type StoredFileRequest, storedFileRequest } from '../operations/stored-file.ts';

interface Link {
  readonly actor: string;
  readonly input: StoredFileRequest;
  readonly forMs: number;
}

interface Uses {
  readonly catalogue: Catalogue;
  readonly nowMs: number;
}

/** Gives what the link ends with; what is kept is its hash. */
export async function makeLink(
  { actor, input, forMs }: Link,
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
      input: JSON.stringify(input),
      createdAtMs: nowMs,
      expiresAtMs,
      usedAtMs: null,
    })
    .execute();
  return { token: new Secret(token), expiresAtMs };
}

/** Of several who use it at once one succeeds. `object.unknown`, the same for one that is unknown, used, and too old. */
export async function takeLink(
  token: string,
  { catalogue, nowMs }: Uses,
): Promise<{ readonly actor: string; readonly input: StoredFileRequest }> {
  const row = await catalogue.db
    .updateTable('download')
    .set({ usedAtMs: nowMs })
    .where('tokenHash', '=', hashOf(token))
    .where('usedAtMs', 'is', null)
    .where('expiresAtMs', '>', nowMs)
    .returning(['actor', 'input'])
    .executeTakeFirst();
  if (row) return { actor: row.actor, input: storedFileRequest.parse(JSON.parse(row.input)) };
  throw new HoldfastError({
    code: 'object.unknown',
    message: 'this link is no good: it was used, is too old, or never was one',
    remedy: 'Make a new one: POST /api/downloads, or in the pages of the server.',
  });
}
