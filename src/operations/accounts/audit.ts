/** Who did what. */
import { z } from 'zod';
import { listAudit as list } from '../../auth/index.ts';
import { operation } from '../operation.ts';
import type { AccountUses } from './account-view.ts';

const text = z.string().min(1).max(200);
const filter = z.object({
  actor: text.optional(),
  /** A whole action, or its beginning before a dot. */
  action: text.optional(),
  subject: text.optional(),
  outcome: z.enum(['done', 'refused', 'failed']).optional(),
  fromMs: z.number().int().optional(),
  untilMs: z.number().int().optional(),
  limit: z.number().int().min(1).max(1000).default(100),
  /** What the page before gave as `next`. */
  cursor: z.string().min(1).max(40).optional(),
});
type Filter = z.infer<typeof filter>;

const page = z.object({
  entries: z.array(
    z.object({
      id: z.string(),
      atMs: z.number(),
      actor: z.string(),
      action: z.string(),
      subject: z.string().optional(),
      outcome: z.enum(['done', 'refused', 'failed']),
      address: z.string().optional(),
      facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    }),
  ),
  next: z.string().optional(),
});
export type AuditOutput = z.infer<typeof page>;

/** The newest first. */
export const listAudit = operation({
  name: 'audit list',
  permission: 'admin',
  input: filter,
  output: page,
  run: async ({ cursor, ...request }: Filter, uses: AccountUses): Promise<AuditOutput> => {
    const { entries, next } = await list({ ...request, ...(cursor === undefined ? {} : { before: cursor }) }, uses);
    const shown = entries.map((entry) => ({ ...entry, facts: { ...entry.facts } }));
    return { entries: shown, ...(next === undefined ? {} : { next }) };
  },
});
