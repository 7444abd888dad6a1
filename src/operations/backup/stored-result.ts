/** What became of one source in one repository: backed up into it, or copied to it. */
import { z } from 'zod';
import { describeError } from '../describe-error.ts';

const errorView = z.object({ code: z.string(), message: z.string(), remedy: z.string() });

export const storedResult = z.object({
  source: z.string(),
  repository: z.string(),
  /** How it gets there: the source is read, or snapshots of another repository are copied. */
  action: z.enum(['backup', 'copy']).default('backup'),
  /** False if nothing was stored, or if something of the source is missing in the snapshot. */
  ok: z.boolean(),
  /** The new one; of several that were copied, the newest. */
  snapshot: z.string().optional(),
  time: z.string().optional(),
  durationMs: z.number().optional(),
  files: z.number().optional(),
  bytes: z.number().optional(),
  addedBytes: z.number().optional(),
  /** Of a copy: where it came from, how many snapshots were copied, and how many could not be. */
  from: z.string().optional(),
  copied: z.number().optional(),
  left: z.number().optional(),
  /** Present if the repository may be away and is: when it was last there. */
  away: z.object({ since: z.string().optional(), message: z.string() }).optional(),
  unreadable: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
  changedWhileRead: z.array(z.string()).default([]),
  notes: z.array(z.string()).default([]),
  /** Present if the source has a maintenance window that was opened. */
  window: z
    .object({
      /** From before the first stop until after the last start; absent if nothing was stopped or something still is. */
      downtimeMs: z.number().optional(),
      /** What did not start again, or failed after the backup. */
      failures: z.array(z.string()),
    })
    .optional(),
  error: errorView.optional(),
});
export type StoredResult = z.infer<typeof storedResult>;

/** Nothing was stored yet. */
export function emptyResult(
  source: string,
  repository: string,
  action: StoredResult['action'],
): Omit<StoredResult, 'ok'> {
  return { source, repository, action, unreadable: [], changedWhileRead: [], notes: [] };
}

export function errorOf(error: unknown): z.infer<typeof errorView> {
  const { code, message, remedy } = describeError(error);
  return { code, message, remedy };
}
