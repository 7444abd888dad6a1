/** Links to files that somebody made: they end with the right to make them. */
import { sql } from 'kysely';
import type { Database } from '../../catalogue/open.ts';

/** Those of one account, or of one of its tokens; of an account also those that its tokens made. */
export async function endDownloadsOf(
  { account, title }: { readonly account: string; readonly title?: string },
  db: Database,
): Promise<void> {
  const query = db.deleteFrom('download');
  if (title !== undefined) return void (await query.where('actor', '=', `${account}/${title}`).execute());
  // No name of an account has a slash in it.
  const ofTokens = `${account}/`;
  await query
    .where(({ eb, or, ref }) =>
      or([eb('actor', '=', account), eb(sql`substr(${ref('actor')}, 1, ${ofTokens.length})`, '=', ofTokens)]),
    )
    .execute();
}
