/** Waits for runs on a server as if they went on here: what they tell is shown, and their results become one. */
import { type ErrorCode, errorCatalogue, HoldfastError, hasCode } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import { finalStates, type RunLogLine, type RunRecord } from '../../model/run-record.ts';
import type { RemoteServer } from './server.ts';

const lookMs = 500;
const lines = 1000;

/** The results of the runs, one after another. A run that failed without a result throws, unless others have one. */
export async function followRuns(ids: readonly string[], server: RemoteServer, report: Report): Promise<object> {
  const results: object[] = [];
  const failures: HoldfastError[] = [];
  for (const id of ids) {
    const run = await follow(id, ids, server, report);
    if (typeof run.result === 'object' && run.result !== null) results.push(run.result);
    else failures.push(errorOf(run));
  }
  if (results.length === 0) throw failures[0];
  for (const { code, message } of failures) report({ type: 'warning', code, message });
  const merged = results.reduce(merge);
  return failures.length > 0 ? { ...merged, ok: false } : merged;
}

async function follow(id: string, all: readonly string[], server: RemoteServer, report: Report): Promise<RunRecord> {
  try {
    return await followRun(id, 0, server, ({ event }) => report(event), report);
  } catch (error) {
    if (server.signal.aborted || hasCode(error, 'cancelled')) await cancelAll(all, server);
    throw error;
  }
}

/** Every line after number `after`, until the run has ended; gives the run as it is then. */
export async function followRun(
  id: string,
  after: number,
  server: RemoteServer,
  tell: (line: RunLogLine) => Promise<void> | void,
  report?: Report,
): Promise<RunRecord> {
  for (let seen = after; ; ) {
    // Asked before its log: what is told is written before the end is.
    const run = await server.json<RunRecord>(`/api/runs/${id}`);
    seen = await readOn(id, seen, server, tell);
    if (run.progress && run.state === 'running') report?.(run.progress);
    if (finalStates.has(run.state)) return run;
    await server.clock.sleep(lookMs, { signal: server.signal });
  }
}

/** What was asked for here is taken back here. */
async function cancelAll(ids: readonly string[], server: RemoteServer): Promise<void> {
  for (const id of ids) {
    const signal = AbortSignal.timeout(10_000);
    // One that has ended meanwhile cannot be taken back, and need not be.
    await server.ask(`/api/runs/${id}/cancel`, { method: 'POST', signal }).catch(() => undefined);
  }
}

async function readOn(
  id: string,
  after: number,
  server: RemoteServer,
  tell: (line: RunLogLine) => Promise<void> | void,
): Promise<number> {
  for (let seen = after; ; ) {
    const page = await server.json<{ lines: RunLogLine[]; next?: number }>(
      `/api/runs/${id}/log?after=${seen}&limit=${lines}`,
    );
    for (const line of page.lines) await tell(line);
    seen = page.lines.at(-1)?.seq ?? seen;
    if (page.next === undefined) return seen;
  }
}

function errorOf({ id, state, error }: RunRecord): HoldfastError {
  const code = error && Object.hasOwn(errorCatalogue, error.code) ? (error.code as ErrorCode) : 'run.lost';
  return new HoldfastError({
    code: state === 'cancelled' ? 'cancelled' : code,
    message: error?.message ?? `the run ${id} ended as ${state}`,
    remedy: error?.remedy ?? `See: holdfast runs log ${id}`,
  });
}

/** Lists follow one another, and what has to be right has to be right in both. */
function merge(one: object, other: object): object {
  const entries = Object.entries(other).map(([name, value]): [string, unknown] => {
    const before = (one as Record<string, unknown>)[name];
    if (Array.isArray(before) && Array.isArray(value))
      return [name, [...(before as unknown[]), ...(value as unknown[])]];
    if (typeof before === 'boolean' && typeof value === 'boolean') return [name, before && value];
    return [name, before ?? value];
  });
  return { ...one, ...Object.fromEntries(entries) };
}
