/** Who did what, when, from where, and whether it was allowed. Entries are only added; secrets are never among the facts. */
import { sortableId } from '../../base/sortable-id.ts';
import type { Database } from '../../catalogue/open.ts';
import { storable } from '../../catalogue/transaction.ts';
import type { AuthUses } from '../auth-uses.ts';

export interface AuditEntry {
  readonly id: string;
  readonly atMs: number;
  /** Name of the user or token, `schedule`, or `cli`. */
  readonly actor: string;
  /** What was done, as `user.add` or `sign-in`. */
  readonly action: string;
  /** To whom or what. */
  readonly subject?: string;
  readonly outcome: 'done' | 'refused' | 'failed';
  readonly address?: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface AuditFilter {
  readonly actor?: string;
  /** A whole action, or its beginning before a dot: `user` finds `user.add`. */
  readonly action?: string;
  readonly subject?: string;
  readonly outcome?: AuditEntry['outcome'];
  readonly fromMs?: number;
  readonly untilMs?: number;
  /** Entries older than this one: what the page before gave as `next`. */
  readonly before?: string;
  /** 1 to 1000, default 100. */
  readonly limit?: number;
}

export type AuditFacts = Omit<AuditEntry, 'id' | 'atMs' | 'facts'> & { readonly facts?: AuditEntry['facts'] };

/** Adds an entry; with `db` within the transaction of what it tells of. */
export async function recordAudit(entry: AuditFacts, uses: AuthUses, db: Database = uses.catalogue.db): Promise<void> {
  const atMs = uses.clock.nowMs();
  await db
    .insertInto('audit')
    .values({
      id: sortableId(atMs),
      atMs,
      actor: storable(entry.actor),
      action: entry.action,
      subject: entry.subject === undefined ? null : storable(entry.subject),
      outcome: entry.outcome,
      address: entry.address === undefined ? null : storable(entry.address),
      facts: JSON.stringify(entry.facts ?? {}),
    })
    .execute();
}

/** The newest first. `next` is there when there are more. */
export async function listAudit(
  filter: AuditFilter,
  { catalogue }: Pick<AuthUses, 'catalogue'>,
): Promise<{ readonly entries: readonly AuditEntry[]; readonly next?: string }> {
  const limit = Math.min(Math.max(filter.limit ?? 100, 1), 1000);
  let query = catalogue.db.selectFrom('audit').selectAll();
  if (filter.actor !== undefined) query = query.where('actor', '=', storable(filter.actor));
  if (filter.subject !== undefined) query = query.where('subject', '=', storable(filter.subject));
  if (filter.outcome !== undefined) query = query.where('outcome', '=', filter.outcome);
  if (filter.fromMs !== undefined) query = query.where('atMs', '>=', filter.fromMs);
  if (filter.untilMs !== undefined) query = query.where('atMs', '<', filter.untilMs);
  if (filter.before !== undefined) query = query.where('id', '<', storable(filter.before));
  if (filter.action !== undefined) {
    const action = storable(filter.action);
    query = query.where((eb) =>
      eb.or([eb('action', '=', action), eb('action', 'like', `${action.replace(/[%_\\]/g, '')}.%`)]),
    );
  }
  const rows = await query
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const entries = rows.slice(0, limit).map(
    (row): AuditEntry => ({
      id: row.id,
      atMs: row.atMs,
      actor: row.actor,
      action: row.action,
      ...(row.subject === null ? {} : { subject: row.subject }),
      outcome: row.outcome as AuditEntry['outcome'],
      ...(row.address === null ? {} : { address: row.address }),
      facts: JSON.parse(row.facts) as AuditEntry['facts'],
    }),
  );
  return rows.length > limit ? { entries, next: entries[entries.length - 1].id } : { entries };
}
