/** Runs the conformance suite: by the tests of every kind of host, and against an operator's own by `holdfast host check`. */
import type { Clock } from '../base/clock.ts';
import { output } from './conformance/case.ts';
import { hostCases } from './conformance/cases.ts';
import type { Host } from './host.ts';

export { hostCases };

export interface HostCheckResult {
  readonly id: string;
  readonly why: string;
  readonly passed: boolean;
  readonly durationMs: number;
  /** What was thrown, if it did not pass. */
  readonly error?: unknown;
}

/** Runs every case in a directory of its own below the host's temporary one, which is removed. A failed case does not stop the others. */
export async function checkHost(
  host: Host,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
  report: (result: HostCheckResult) => void,
): Promise<readonly HostCheckResult[]> {
  const results: HostCheckResult[] = [];
  for (const each of hostCases) {
    const startedMs = clock.monotonicMs();
    const outcome = await inDirectory(host, (directory) => each.run({ host, directory })).then(
      () => ({ passed: true }),
      (error: unknown) => ({ passed: false, error }),
    );
    signal.throwIfAborted();
    const result = { id: each.id, why: each.why, durationMs: clock.monotonicMs() - startedMs, ...outcome };
    report(result);
    results.push(result);
  }
  return results;
}

async function inDirectory(host: Host, task: (directory: string) => Promise<void>): Promise<void> {
  const made = await output(host, { argv: ['mktemp', '-d'] });
  const directory = made.stdout.trim();
  if (made.status !== 0 || !directory.startsWith('/')) throw new Error(`mktemp -d failed: ${made.stderr.trim()}`);
  try {
    await task(directory);
  } finally {
    await output(host, { argv: ['rm', '-rf', directory] });
  }
}
