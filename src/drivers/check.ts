/** Runs the conformance suite: by the tests of every driver, and against an operator's own source by `holdfast driver check`. */
import type { DriverCaseContext } from './conformance/case.ts';
import { driverCases } from './conformance/cases.ts';

export type { Bench, DriverCase, DriverCaseContext, StoredSource, Trial } from './conformance/case.ts';
export { driverCases };

export interface DriverCheckResult {
  readonly id: string;
  readonly why: string;
  readonly passed: boolean;
  readonly durationMs: number;
  /** What was thrown, if it did not pass. */
  readonly error?: unknown;
}

/** Runs every case the context allows, one after another. A failed case does not stop the others; cancelling does. */
export async function checkDriver(
  ctx: DriverCaseContext,
  report: (result: DriverCheckResult) => void,
): Promise<readonly DriverCheckResult[]> {
  const results: DriverCheckResult[] = [];
  for (const each of driverCases) {
    if (each.needs === 'trial' && !ctx.trial) continue;
    const result = await checkCase(each, ctx);
    report(result);
    results.push(result);
  }
  return results;
}

async function checkCase(each: (typeof driverCases)[number], ctx: DriverCaseContext): Promise<DriverCheckResult> {
  const { clock, signal } = ctx.source;
  const startedMs = clock.monotonicMs();
  const outcome = await each.run(ctx).then(
    () => ({ passed: true }),
    (error: unknown) => ({ passed: false, error }),
  );
  signal.throwIfAborted();
  return { id: each.id, why: each.why, durationMs: clock.monotonicMs() - startedMs, ...outcome };
}
