/** Repositories in buckets that hold objects: hold anew what is needed, free what was removed long enough ago, and go back to a moment. */
import { z } from 'zod';
import { formatInstant, parseInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { holdObjects, type Repository, rewindStorage, sweepVersions } from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { openNamed, repositoryEntry, storageOf } from './repository-access.ts';

type Uses = RepositoryAccess & Execution;

export const heldView = z.object({
  /** Objects that are needed, and those of them that were held anew. */
  objects: z.number(),
  renewed: z.number(),
  requests: z.number(),
  /** What was removed or replaced, and is now gone for good. */
  sweptVersions: z.number(),
  sweptBytes: z.number(),
  /** And what stays for now. */
  leftVersions: z.number(),
  leftBytes: z.number(),
});
export type HeldView = z.infer<typeof heldView>;

/** Holds anew and sweeps, where the repository's storage holds objects. */
export async function holdAnew(
  { storage }: Repository,
  options: { readonly dryRun: boolean },
  { clock, report, signal }: Execution,
): Promise<HeldView | undefined> {
  if (!storage.retention) return undefined;
  const given = { nowMs: clock.nowMs(), report, signal };
  const held = await holdObjects(storage, options, given);
  const { versions, bytes, ...left } = await sweepVersions(storage, options, given);
  return { ...held, sweptVersions: versions, sweptBytes: bytes, ...left };
}

const holdInput = z.object({ repository: z.string(), dryRun: z.boolean().default(false) });
const holdOutput = heldView.extend({ repository: z.string(), dryRun: z.boolean() });
export type HoldOutput = z.infer<typeof holdOutput>;

export const repoHold = operation({
  name: 'repo hold',
  permission: 'operator',
  input: holdInput,
  output: holdOutput,
  run: async ({ repository: name, dryRun }: z.infer<typeof holdInput>, uses: Uses): Promise<HoldOutput> => {
    await using opened = await openNamed(name, uses);
    const { repository } = opened;
    const held = await holdAnew(repository, { dryRun }, uses);
    if (held) return { repository: name, dryRun, ...held };
    throw new HoldfastError({
      code: 'storage.unprotected',
      message: `nothing in the repository ${name} is held: it has no objectLock`,
      remedy: 'Add s3: { objectLock: { mode: compliance, days: 30 } } to its entry; see docs/immutability.md.',
    });
  },
});

const rewindInput = z.object({
  repository: z.string(),
  /** Like `2026-11-20T03:00Z`. */
  to: z.string(),
  dryRun: z.boolean().default(false),
});
const rewindOutput = z.object({
  repository: z.string(),
  to: z.string(),
  dryRun: z.boolean(),
  broughtBack: z.number(),
  bytes: z.number(),
  removed: z.number(),
  unchanged: z.number(),
});
export type RewindOutput = z.infer<typeof rewindOutput>;

export const repoRewind = operation({
  name: 'repo rewind',
  permission: 'admin',
  input: rewindInput,
  output: rewindOutput,
  run: async ({ repository: name, to, dryRun }: z.infer<typeof rewindInput>, uses: Uses): Promise<RewindOutput> => {
    const atMs = momentOf(to, uses.clock.nowMs());
    // Not opened as a repository: its config and keys may be what has to be brought back.
    const storage = await storageOf(repositoryEntry(name, uses), uses, false);
    try {
      const result = await rewindStorage(storage, { atMs, dryRun }, uses.report, uses.signal);
      return { repository: name, to: formatInstant(atMs), ...result };
    } finally {
      await storage.close();
    }
  },
});

function momentOf(text: string, nowMs: number): number {
  const atMs = parseInstant(text);
  if (atMs !== undefined && atMs <= nowMs) return atMs;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${text}» is no time in the past`,
    remedy: 'Write it like 2026-11-20T03:00Z, best the moment before the first thing that should not have happened.',
  });
}
