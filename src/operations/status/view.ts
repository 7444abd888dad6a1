/** What is said of each source in each of its repositories. */
import { z } from 'zod';
import { copiesView, repositoryView } from '../repositories/repository-state.ts';

const concern = z.object({ kind: z.string(), message: z.string(), remedy: z.string() });

/** How a run of the source stands or ended; only known where runs are remembered. */
export const sourceRun = z.object({
  run: z.string(),
  kind: z.string(),
  state: z.string(),
  /** When it was queued, began, or ended: whatever came last. */
  time: z.string(),
  durationMs: z.number().optional(),
  message: z.string().optional(),
});
export type SourceRun = z.infer<typeof sourceRun>;

export const sourceState = z.object({
  source: z.string(),
  driver: z.string(),
  repository: z.string(),
  ok: z.boolean(),
  /** What is kept there; absent: everything. */
  keep: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
  /** Of its further repositories: how far they are behind the first. Absent if one of the two cannot be asked. */
  copies: copiesView.optional(),
  snapshots: z.number(),
  newest: z.object({ id: z.string(), time: z.string(), ageMs: z.number() }).optional(),
  proof: z.object({ verdict: z.string(), ageMs: z.number(), restoreMs: z.number(), snapshot: z.string() }).optional(),
  /** When the last drill that passed was made. */
  proven: z.string().optional(),
  /** Older than this is a concern: the newest snapshot, and the last drill that passed; absent where none is expected. */
  expected: z.object({ snapshotMs: z.number(), proofMs: z.number().optional() }),
  /** Its last run of each kind that ended, and those that go on. */
  runs: z.array(sourceRun).optional(),
  concerns: z.array(concern),
});
export type SourceState = z.infer<typeof sourceState>;

export const statusView = z.object({
  ok: z.boolean(),
  /**
   * Of declared sources in their repositories: how many states there are, and about how many there is a concern. Of the sources
   * themselves: how many there are, and how many are not safe in each of their repositories.
   */
  counts: z
    .object({
      states: z.number(),
      concerns: z.number(),
      sources: z.number().optional(),
      unsafeSources: z.number().optional(),
    })
    .optional(),
  /** Of all that are declared, or of those with a concern: as they are declared. */
  sources: z.array(sourceState),
  /** Where the list was cut: goes into `cursor`. */
  next: z.string().optional(),
  repositories: z.array(repositoryView),
  /** Snapshots in repositories that their source is not stored in any more: nothing copies or removes them by itself. */
  elsewhere: z.array(z.object({ source: z.string(), repository: z.string(), snapshots: z.number() })),
});
export type StatusOutput = z.infer<typeof statusView>;

/** Nothing that is declared, or that the caller may see, is nothing protected, not everything. */
export function isAllSafe({ counts, repositories }: Pick<StatusOutput, 'counts' | 'repositories'>): boolean {
  return counts !== undefined && counts.states > 0 && counts.concerns === 0 && repositories.every((one) => one.ok);
}
