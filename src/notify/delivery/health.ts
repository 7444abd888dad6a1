/** Whether a channel is known to be broken: told once, by the other channels, and once when it works again. */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type CatalogueTransaction, inTransaction } from '../../catalogue/transaction.ts';
import { setBookmark } from './router.ts';

const markOf = (channel: string): string => `broken channel ${channel}`;

/** False if it was known. */
export async function sayBroken(catalogue: Catalogue, channel: string, error: unknown): Promise<boolean> {
  return await inTransaction(catalogue, async ({ db, nowMs, record }) => {
    const name = markOf(channel);
    if (await db.selectFrom('bookmark').select('name').where('name', '=', name).executeTakeFirst()) return false;
    await setBookmark(db, name, String(nowMs));
    const known = error instanceof HoldfastError ? error : undefined;
    await record({
      type: 'channel.failed',
      title: `notifications do not get through the channel ${channel}`,
      message: messageOf(error),
      remedy: known?.remedy ?? 'Look at the log of the server.',
      errorCode: known?.code ?? 'internal',
      facts: { channel },
    });
    return true;
  });
}

/** Nothing if it was not known to be broken. The last thing of its transaction. */
export async function sayReturned({ db, record }: CatalogueTransaction, channel: string): Promise<void> {
  const mark = await db.deleteFrom('bookmark').where('name', '=', markOf(channel)).executeTakeFirst();
  if (mark.numDeletedRows === 0n) return;
  const title = `notifications get through the channel ${channel} again`;
  await record({ type: 'channel.returned', title, facts: { channel } });
}
