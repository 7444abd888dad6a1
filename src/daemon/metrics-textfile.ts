/** Writes the metrics where a node_exporter picks them up, every minute. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { MetricUses } from '../operations/metrics/figures.ts';
import { writeTextfile } from '../operations/metrics/metrics.ts';
import { renderMetrics } from '../operations/metrics/render.ts';

const everyMs = 60_000;

export interface TextfileParts {
  /** As the configuration says now; `undefined`: nothing is written, until it says so. */
  readonly file: () => string | undefined;
  readonly uses: () => MetricUses;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Until the signal is aborted. What goes wrong is logged when it begins and when it changes, not every minute. */
export async function keepTextfile({ file, uses, clock, signal, log }: TextfileParts): Promise<void> {
  let trouble: string | undefined;
  while (!signal.aborted) {
    const path = file();
    const found = path === undefined ? undefined : await writeOnce(path, uses());
    if (found !== undefined && found !== trouble && !signal.aborted) log.warn({ path }, found);
    trouble = found;
    await clock.sleep(everyMs, { signal, background: true }).catch(() => undefined); // it ends with the loop
  }
}

/** What went wrong. */
async function writeOnce(path: string, uses: MetricUses): Promise<string | undefined> {
  try {
    await writeTextfile(path, await renderMetrics(uses));
    return undefined;
  } catch (error) {
    return `metrics: ${messageOf(error)}`;
  }
}
