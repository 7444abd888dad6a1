/** How repositories were found when they were asked last. */
import type { Catalogue } from '../open.ts';
import { present } from '../run-rows.ts';
import { storable } from '../transaction.ts';

export interface KnownRepository {
  readonly repository: string;
  /** The id in its `config` file: another disk may be mounted in the same place. */
  readonly id?: string;
  /** When it was read last, as a whole. */
  readonly seenAtMs?: number;
  /** Why it could not be read since then; absent if it could. */
  readonly error?: { readonly code: string; readonly message: string };
  readonly lastCheck?: { readonly atMs: number; readonly ok: boolean };
}

/** It was read. */
export async function saveSeen(
  { db }: Catalogue,
  { repository, id, atMs }: { readonly repository: string; readonly id: string; readonly atMs: number },
): Promise<void> {
  const seen = { id, seenAtMs: atMs, errorCode: null, errorMessage: null };
  await db
    .insertInto('repositoryState')
    .values({ repository, ...seen, lastCheckAtMs: null, lastCheckOk: null })
    .onConflict((conflict) => conflict.column('repository').doUpdateSet(seen))
    .execute();
}

/** It could not be read; what is known of it stays. */
export async function saveUnseen(
  { db }: Catalogue,
  { repository, code, message }: { readonly repository: string; readonly code: string; readonly message: string },
): Promise<void> {
  const error = { errorCode: code, errorMessage: storable(message) };
  await db
    .insertInto('repositoryState')
    .values({ repository, ...error, id: null, seenAtMs: null, lastCheckAtMs: null, lastCheckOk: null })
    .onConflict((conflict) => conflict.column('repository').doUpdateSet(error))
    .execute();
}

/** A check of it ended. */
export async function saveChecked(
  { db }: Catalogue,
  { repository, atMs, ok }: { readonly repository: string; readonly atMs: number; readonly ok: boolean },
): Promise<void> {
  const checked = { lastCheckAtMs: atMs, lastCheckOk: ok ? 1 : 0 };
  await db
    .insertInto('repositoryState')
    .values({ repository, ...checked, id: null, seenAtMs: null, errorCode: null, errorMessage: null })
    .onConflict((conflict) => conflict.column('repository').doUpdateSet(checked))
    .execute();
}

/** By name. */
export async function knownRepositories({ db }: Catalogue): Promise<KnownRepository[]> {
  const rows = await db.selectFrom('repositoryState').selectAll().orderBy('repository').execute();
  return rows.map(({ repository, id, seenAtMs, errorCode, errorMessage, lastCheckAtMs, lastCheckOk }) => ({
    repository,
    ...present({ id, seenAtMs }),
    ...(errorCode === null ? {} : { error: { code: errorCode, message: errorMessage ?? '' } }),
    ...(lastCheckAtMs === null ? {} : { lastCheck: { atMs: lastCheckAtMs, ok: lastCheckOk === 1 } }),
  }));
}
