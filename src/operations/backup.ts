/** Back sources up, each into all of its repositories. One that fails does not keep the others from being stored. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { SourceEntry } from '../config/index.ts';
import { type BackupResult, backup as backUp } from '../engine/backup.ts';
import type { Repository } from '../repository/index.ts';
import type { MaintenanceWindow } from '../runs/window/index.ts';
import { describeError } from './describe-error.ts';
import { HostPool } from './host-pool.ts';
import { Maintenance } from './maintenance.ts';
import { type Execution, operation, type SourceAccess } from './operation.ts';
import { openNamed } from './repository-access.ts';
import { chooseSources, contextOf, driverNamed } from './source-access.ts';
import { keepState, type StateView, stateView } from './state.ts';

const input = z.object({
  sources: z.array(z.string()).default([]),
  policy: z.string().optional(),
  all: z.boolean().default(false),
  /** Only into this one. */
  repository: z.string().optional(),
  /** Read every file again, whatever its attributes say. */
  force: z.boolean().default(false),
  compression: z.enum(['auto', 'fast', 'max', 'off']).optional(),
  lockWaitMs: z.number().min(0).default(60_000),
});

const errorView = z.object({ code: z.string(), message: z.string(), remedy: z.string() });

const stored = z.object({
  source: z.string(),
  repository: z.string(),
  /** False if nothing was stored, or if something of the source is missing in the snapshot. */
  ok: z.boolean(),
  snapshot: z.string().optional(),
  time: z.string().optional(),
  durationMs: z.number().optional(),
  files: z.number().optional(),
  bytes: z.number().optional(),
  addedBytes: z.number().optional(),
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
export type StoredResult = z.infer<typeof stored>;

const output = z.object({
  ok: z.boolean(),
  results: z.array(stored),
  /** Of each repository that something was stored in: whether it holds the configuration as it is now. */
  states: z.array(stateView),
});
export type BackupOutput = z.infer<typeof output>;

type Uses = SourceAccess & Execution;

export const backup = operation({
  name: 'backup',
  permission: 'operator',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<BackupOutput> => {
    const sources = chooseSources(uses.config, request);
    const readAtMs = uses.clock.nowMs() - 1;
    const results: StoredResult[] = [];
    await using open = new OpenRepositories(uses);
    await using hosts = new HostPool(uses);
    await using maintenance = new Maintenance({ ...uses, hosts });
    for (const source of sources) {
      const names = placesOf(source, request);
      for (const [i, name] of names.entries()) {
        if (i > 0 && results.at(-1)?.ok)
          uses.report({ type: 'note', message: `${source.name} is read again for the repository ${name}` });
        results.push(await storeOne(source, name, { request, uses: { ...uses, hosts, maintenance }, open }));
      }
    }
    if (results.length === 0) throw nothingToDo(request);
    const states = await keepStates(results, { readAtMs, lockWaitMs: request.lockWaitMs, open }, uses);
    const isKept = states.every((one) => one.outcome !== 'failed');
    return { ok: isKept && results.every((result) => result.ok), results, states };
  },
});

/** Where nothing was stored, nothing is: such a repository may not even open. */
async function keepStates(
  results: readonly StoredResult[],
  { open, ...when }: { readAtMs: number; lockWaitMs: number; open: OpenRepositories },
  uses: Uses,
): Promise<StateView[]> {
  const names = new Set(results.flatMap((one) => (one.snapshot === undefined ? [] : [one.repository])));
  const states: StateView[] = [];
  for (const name of names) states.push(await keepState({ name, repository: await open.get(name), ...when }, uses));
  return states;
}

/** A source that is named goes wherever it is sent; of many, only those that belong into the repository. */
function placesOf(source: SourceEntry, { repository, sources }: z.infer<typeof input>): string[] {
  const own = source.placements.map((placement) => placement.repository);
  if (repository === undefined) return own;
  return sources.length > 0 || own.includes(repository) ? [repository] : [];
}

function nothingToDo(request: z.infer<typeof input>): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `none of the sources is stored in the repository «${request.repository}»`,
    remedy: 'Name the sources to store there all the same, or add the repository to their policy.',
  });
}

type StoreUses = Uses & { readonly hosts: HostPool; readonly maintenance: Maintenance };

async function storeOne(
  source: SourceEntry,
  name: string,
  { request, uses, open }: { request: z.infer<typeof input>; uses: StoreUses; open: OpenRepositories },
): Promise<StoredResult> {
  const nothing = { source: source.name, repository: name, unreadable: [], changedWhileRead: [] };
  let window: MaintenanceWindow | undefined;
  try {
    window = await uses.maintenance.windowOf(source);
    const result = await backUp({
      repository: await open.get(name),
      driver: driverNamed(uses.drivers, source.driver),
      source: await contextOf(source, uses),
      runId: randomBytes(8).toString('hex'),
      compression: request.compression,
      lockWaitMs: request.lockWaitMs,
      force: request.force,
      window,
    });
    return { ...nothing, ...viewResult(result, window) };
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    return { ...nothing, ok: false, ...viewWindow(window), error: describeError(error) };
  }
}

function viewResult(
  result: BackupResult,
  window: MaintenanceWindow | undefined,
): Omit<StoredResult, 'source' | 'repository'> {
  const { snapshot, summary, unreadable } = result;
  const around = viewWindow(window);
  return {
    ok: unreadable.length === 0 && (around.window?.failures ?? []).length === 0,
    snapshot: snapshot.id,
    time: snapshot.time,
    durationMs: Math.round(result.durationMs),
    files: summary.totalFilesProcessed,
    bytes: summary.totalBytesProcessed,
    addedBytes: summary.dataAddedPacked,
    unreadable: unreadable.map((one) => ({ ...one })),
    changedWhileRead: [...result.changedWhileRead],
    ...around,
    notes: [...result.notes, ...around.notes],
  };
}

function viewWindow(window: MaintenanceWindow | undefined): Pick<StoredResult, 'window' | 'notes'> {
  if (!window?.isUsed) return { notes: [] };
  const { downtimeMs, notes, failures } = window.outcome;
  const downtime = downtimeMs === undefined ? {} : { downtimeMs: Math.round(downtimeMs) };
  return { window: { ...downtime, failures: [...failures] }, notes: [...notes] };
}

/** Each repository is opened once per run; what failed to open fails every source that is stored there. */
class OpenRepositories implements AsyncDisposable {
  readonly #uses: Uses;
  readonly #opened = new Map<string, Promise<Repository>>();

  constructor(uses: Uses) {
    this.#uses = uses;
  }

  get(name: string): Promise<Repository> {
    const known = this.#opened.get(name);
    if (known) return known;
    const opening = openNamed(name, this.#uses).then((named) => named.repository);
    this.#opened.set(name, opening);
    return opening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#opened.values()) {
      const repository = await opening.catch((error: unknown) => {
        if (!(error instanceof HoldfastError)) throw error;
        return undefined;
      });
      await repository?.close();
    }
  }
}
