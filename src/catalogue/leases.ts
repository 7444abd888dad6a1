/** Names that one process at a time holds, for as long as it says that it lives. Judged by the catalogue's clock. */
import type { Catalogue } from './open.ts';

export interface Lease {
  readonly name: string;
  readonly holder: string;
  /** Grows whenever the name is taken. */
  readonly fence: number;
  readonly untilMs: number;
}

/** Takes the name if nobody holds it; `undefined` if somebody does, the same holder included. */
export async function acquireLease(
  catalogue: Catalogue,
  { name, holder, leaseMs }: { readonly name: string; readonly holder: string; readonly leaseMs: number },
): Promise<Lease | undefined> {
  const nowMs = await catalogue.nowMs();
  const untilMs = nowMs + leaseMs;
  return await catalogue.db
    .insertInto('lease')
    .values({ name, holder, fence: 1, untilMs })
    .onConflict((conflict) =>
      conflict
        .column('name')
        .doUpdateSet((eb) => ({ holder, untilMs, fence: eb('lease.fence', '+', 1) }))
        .where('lease.untilMs', '<', nowMs),
    )
    .returningAll()
    .executeTakeFirst();
}

/** Holds it longer; `undefined` if it was lost to somebody else. */
export async function keepLease(
  catalogue: Catalogue,
  { name, holder, fence }: Lease,
  leaseMs: number,
): Promise<Lease | undefined> {
  const untilMs = (await catalogue.nowMs()) + leaseMs;
  return await catalogue.db
    .updateTable('lease')
    .set({ untilMs })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .where('fence', '=', fence)
    .returningAll()
    .executeTakeFirst();
}

/** Lets the next one take it at once. Nothing if it was lost. */
export async function releaseLease({ db }: Catalogue, { name, holder, fence }: Lease): Promise<void> {
  await db
    .updateTable('lease')
    .set({ untilMs: 0 })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .where('fence', '=', fence)
    .execute();
}

/** Who holds it now. */
export async function leaseOf(catalogue: Catalogue, name: string): Promise<Lease | undefined> {
  const nowMs = await catalogue.nowMs();
  const lease = await catalogue.db.selectFrom('lease').selectAll().where('name', '=', name).executeTakeFirst();
  return lease && lease.untilMs >= nowMs ? lease : undefined;
}
