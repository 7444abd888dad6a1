/** What was begun and waits for its next step: kept in the catalogue, so that any server may take that step. */
import { Secret } from '../../base/secrets.ts';
import type { AuthUses } from '../auth-uses.ts';
import { refused } from '../auth-uses.ts';
import { hashOf, newSecretText } from './random-text.ts';

export type FlowPurpose =
  | 'second-factor'
  | 'totp'
  | 'passkey'
  | 'passkey-sign-in'
  | 'oidc'
  | 'set-up'
  | 'password-link';

export interface Flow<Document> {
  readonly userId: string | null;
  readonly document: Document;
}

/** Remembers `document` and gives what the next step has to bring: 256 bits, of which a hash is kept. */
export async function beginFlow(
  flow: { readonly purpose: FlowPurpose; readonly userId?: string; readonly document?: object; readonly forMs: number },
  { catalogue, clock }: AuthUses,
): Promise<Secret> {
  const token = newSecretText();
  const nowMs = clock.nowMs();
  await catalogue.db
    .insertInto('flow')
    .values({
      tokenHash: hashOf(token),
      purpose: flow.purpose,
      userId: flow.userId ?? null,
      document: JSON.stringify(flow.document ?? {}),
      createdAtMs: nowMs,
      expiresAtMs: nowMs + flow.forMs,
    })
    .execute();
  return new Secret(token);
}

/** What was begun, which stays. `auth.refused` if it is unknown, used, too old, or was begun for something else. */
export async function lookAtFlow<Document>(
  purpose: FlowPurpose,
  token: Secret,
  { catalogue, clock }: AuthUses,
): Promise<Flow<Document>> {
  const found = await catalogue.db
    .selectFrom('flow')
    .select(['userId', 'document', 'expiresAtMs'])
    .where('tokenHash', '=', hashOf(token.reveal()))
    .where('purpose', '=', purpose)
    .executeTakeFirst();
  return live(found, clock.nowMs());
}

/** The same, and it is gone: of several who try at once one succeeds. */
export async function takeFlow<Document>(
  purpose: FlowPurpose,
  token: Secret,
  { catalogue, clock }: AuthUses,
): Promise<Flow<Document>> {
  const found = await catalogue.db
    .deleteFrom('flow')
    .where('tokenHash', '=', hashOf(token.reveal()))
    .where('purpose', '=', purpose)
    .returning(['userId', 'document', 'expiresAtMs'])
    .executeTakeFirst();
  return live(found, clock.nowMs());
}

function live<Document>(
  found: { userId: string | null; document: string; expiresAtMs: number } | undefined,
  nowMs: number,
): Flow<Document> {
  if (found === undefined || found.expiresAtMs <= nowMs) {
    throw refused('this step of the sign-in is over: it was used before, or took too long', 'Begin again.');
  }
  return { userId: found.userId, document: JSON.parse(found.document) as Document };
}
