/** Runs the conformance suite: by the tests of every storage, and against an operator's own place by `holdfast storage check`. */
import { type Clock, systemClock } from '../base/clock.ts';
import type { StorageCase } from './conformance/case.ts';
import { objectCases } from './conformance/objects.ts';
import { placeCases } from './conformance/places.ts';
import type { Storage } from './storage.ts';

export type { StorageCase } from './conformance/case.ts';

export interface ConformanceContext {
  /** A fresh handle on the place under test. */
  open(): Promise<Storage>;
  /** A folder nothing else uses, e.g. `holdfast-check-4f1c`. Everything below it is deleted, and itself. */
  readonly prefix: string;
  /** For durations; default: the system's. */
  readonly clock?: Clock;
}

export interface ConformanceResult {
  readonly id: string;
  readonly why: string;
  readonly passed: boolean;
  readonly durationMs: number;
  /** What was thrown, if it did not pass. */
  readonly error?: unknown;
}

export const storageCases: readonly StorageCase[] = [...objectCases, ...placeCases];

/**
 * Runs every case, one after another, in a folder of its own, and deletes what it left, folders too; what cannot be deleted in
 * the end is one more result, `removal`. A failed case does not stop the others. Stores about 70 MiB in passing and some 1,500 objects; memory about 60 MiB.
 */
export async function runStorageConformance(
  ctx: ConformanceContext,
  report: (result: ConformanceResult) => void,
): Promise<readonly ConformanceResult[]> {
  const results: ConformanceResult[] = [];
  const add = (result: ConformanceResult): void => {
    report(result);
    results.push(result);
  };
  let removed: ConformanceResult;
  try {
    for (const each of storageCases) add(await runStorageCase(each, ctx));
  } finally {
    removed = await runStorageCase(removalOf(ctx.prefix), ctx); // does not reject
  }
  if (!removed.passed) add(removed);
  return results;
}

function removalOf(prefix: string): StorageCase {
  return {
    id: 'removal',
    why: 'the folder of the check can be removed in the end',
    run: async ({ open }) => await (await open()).removeFolders?.(prefix),
  };
}

/** Runs one case. A leftover that cannot be deleted fails it, too. */
export async function runStorageCase(each: StorageCase, ctx: ConformanceContext): Promise<ConformanceResult> {
  const clock = ctx.clock ?? systemClock;
  const startedMs = clock.monotonicMs();
  const outcome = await attempt(each, ctx).then(
    () => ({ passed: true }),
    (error: unknown) => ({ passed: false, error }),
  );
  return { id: each.id, why: each.why, durationMs: clock.monotonicMs() - startedMs, ...outcome };
}

async function attempt(each: StorageCase, ctx: ConformanceContext): Promise<void> {
  const folder = `${ctx.prefix}/${each.id}`;
  await using handles = new AsyncDisposableStack();
  const open = async (): Promise<Storage> => handles.adopt(await ctx.open(), (storage) => storage.close());
  const cleaner = await open();
  handles.defer(() => empty(cleaner, folder));
  await each.run({ open, folder });
}

async function empty(storage: Storage, folder: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of storage.list(folder)) names.push(name);
  for (const name of names) await storage.delete(name);
  await storage.removeFolders?.(folder);
}
