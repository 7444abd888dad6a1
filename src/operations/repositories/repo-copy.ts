/** Copy snapshots from one repository into another. No source is read; what is there already is not sent again. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { type CopyResult, copySnapshots } from '../../engine/copy.ts';
import { sourceOf } from '../../model/snapshot.ts';
import { chosenCopies } from '../backup/chosen-copies.ts';
import { keepState, stateView } from '../backup/state.ts';
import { describeError } from '../describe-error.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { openBoth } from './repository-access.ts';
import { remember } from './repository-record.ts';

const input = z.object({
  from: z.string(),
  to: z.string(),
  /** Exactly these, whatever is kept there. */
  snapshots: z.array(z.string()).default([]),
  /** Only snapshots of these sources. */
  sources: z.array(z.string()).default([]),
  /** Also what the rules of `to` would remove again. */
  all: z.boolean().default(false),
  dryRun: z.boolean().default(false),
  compression: z.enum(['auto', 'fast', 'max', 'off']).optional(),
  lockWaitMs: z.number().min(0).default(60_000),
});
type Request = z.infer<typeof input>;

const copied = z.object({
  /** Where it was copied from. */
  snapshot: z.string(),
  /** Its id over there; absent in a dry run. */
  copy: z.string().optional(),
  source: z.string().optional(),
  time: z.string(),
  timeMs: z.number(),
  /** What it needed and was not there yet, as the origin stores it. */
  blobs: z.number(),
  bytes: z.number(),
});
const output = z.object({
  from: z.string(),
  to: z.string(),
  ok: z.boolean(),
  dryRun: z.boolean(),
  /** In the order of copying. */
  copied: z.array(copied),
  /** Damaged in the origin. */
  failed: z.array(
    z.object({
      snapshot: z.string(),
      source: z.string().optional(),
      code: z.string(),
      message: z.string(),
      remedy: z.string(),
    }),
  ),
  bytes: z.number(),
  storedBytes: z.number(),
  /** Packs of an interrupted copy or backup that were not sent again. */
  adoptedPacks: z.number(),
  /** False: a backup straight into `to` would find little of what was copied. */
  sameCuts: z.boolean(),
  durationMs: z.number(),
  /** Whether `to` holds the configuration as it is now; absent if none of it is there. */
  state: stateView.optional(),
});
export type CopyOutput = z.infer<typeof output>;

type Uses = SourceAccess & Execution;

export const repoCopy = operation({
  name: 'repo copy',
  permission: 'operator',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<CopyOutput> => {
    const { from: origin, to } = request;
    if (origin === to) throw sameRepository(to);
    await using opened = await openBoth([origin, to], uses);
    const { dryRun, compression, lockWaitMs, snapshots, all } = request;
    const sources = request.sources.length > 0 ? request.sources : undefined;
    const { clock, report, signal, config } = uses;
    const chosen = chosenCopies(config, { to, sources, snapshots, all, nowMs: clock.nowMs() });
    let hasCopies = false;
    const choose: typeof chosen = (sides) => {
      const choice = chosen(sides);
      hasCopies = choice.present.length > 0;
      return choice;
    };
    const result = await copySnapshots({
      from: opened.first.repository,
      to: opened.second.repository,
      ...{ choose, dryRun, compression, lockWaitMs, clock, report, signal },
    });
    const { copied, failed } = result;
    const lastCopy = { atMs: clock.nowMs(), from: origin, ok: failed.length === 0, copied: copied.length };
    const view = { from: origin, to, dryRun, ...viewCopy(result) };
    if (dryRun) return view;
    await remember(to, { lastCopy }, uses);
    // One that failed may have brought them all, but not the state: then the next one does.
    if (copied.length === 0 && !hasCopies) return view;
    const owner = { name: to, repository: opened.second.repository };
    const state = await keepState({ ...owner, readAtMs: clock.nowMs(), lockWaitMs }, uses);
    return { ...view, ok: view.ok && state.outcome !== 'failed', state };
  },
});

function viewCopy(result: CopyResult): Omit<CopyOutput, 'from' | 'to' | 'dryRun'> {
  const { failed, storedBytes, adoptedPacks, sameCuts, durationMs } = result;
  return {
    ok: failed.length === 0,
    copied: result.copied.map(({ snapshot, id, blobs, bytes }) => ({
      snapshot: snapshot.id,
      copy: id,
      source: sourceOf(snapshot),
      time: snapshot.time,
      timeMs: snapshot.timeMs,
      ...{ blobs, bytes },
    })),
    failed: failed.map(({ snapshot, error }) => ({
      snapshot: snapshot.id,
      source: sourceOf(snapshot),
      ...describeError(error),
    })),
    bytes: result.copied.reduce((sum, one) => sum + one.bytes, 0),
    ...{ storedBytes, adoptedPacks, sameCuts },
    durationMs: Math.round(durationMs),
  };
}

function sameRepository(name: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `«${name}» cannot be copied into itself`,
    remedy: 'Name another repository with --to.',
  });
}
