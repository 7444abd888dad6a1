/** Ten codes for who lost the second factor: 75 bits each, each works once, kept as SHA-256. */
import type { Secret } from '../../base/secrets.ts';
import type { Database } from '../../catalogue/open.ts';
import { canonicalCode, hashOf, newTypedCode } from '../access/random-text.ts';

const count = 10;

export function newRecoveryCodes(): { readonly codes: readonly Secret[]; readonly stored: string } {
  const codes = Array.from({ length: count }, () => newTypedCode(3));
  return { codes, stored: JSON.stringify(codes.map((code) => hashOf(canonicalCode(code.reveal())))) };
}

/** True if it was one of them; it is none any more. Of several who bring the same one at once, one succeeds. */
export async function takeRecoveryCode(
  account: { readonly id: string; readonly recoveryCodes: string | null },
  code: string,
  db: Database,
): Promise<boolean> {
  if (account.recoveryCodes === null) return false;
  const hashes = JSON.parse(account.recoveryCodes) as string[];
  const given = hashOf(canonicalCode(code));
  if (!hashes.includes(given)) return false;
  const { numUpdatedRows } = await db
    .updateTable('account')
    .set({ recoveryCodes: JSON.stringify(hashes.filter((one) => one !== given)) })
    .where('id', '=', account.id)
    .where('recoveryCodes', '=', account.recoveryCodes)
    .executeTakeFirstOrThrow();
  return numUpdatedRows === 1n;
}
