/**
 * Back sources up. Each is read once, into the first of its repositories that takes it; the others get copies. One that
 * fails does not keep the others from being stored.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { SourceEntry } from '../../config/index.ts';
import { type BackupResult, backup as backUp } from '../../engine/backup.ts';
import type { Repository } from '../../repository/index.ts';
import type { MaintenanceWindow } from '../../runs/window/index.ts';
import { describeError } from '../describe-error.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { OpenRepositories } from '../repositories/open-repositories.ts';
import { rememberStored } from '../repositories/repository-record.ts';
import { HostPool } from '../sources/host-pool.ts';
import { Maintenance } from '../sources/maintenance.ts';
import { chooseSources, contextOf, driverNamed } from '../sources/source-access.ts';
import { type Filling, fillCopies, whyAway } from './fill-copies.ts';
import { keepState, type StateView, stateRecord, stateView, viewState } from './state.ts';
import { emptyResult, type StoredResult, storedResult } from './stored-result.ts';

export type { StoredResult };

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

const output = z.object({
  ok: z.boolean(),
  results: z.array(storedResult),
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
    const kept = new Map<string, StateView>();
    const fillings: Filling[] = [];
    for (const source of sources) {
      const parts = { request, uses: { ...uses, hosts, maintenance }, open, kept, readAtMs };
      const dumped = await storeFirst(source, placesOf(source, request), parts);
      results.push(...dumped.results);
      if (request.repository === undefined) fillings.push(...fillingOf(source, dumped));
    }
    if (results.length === 0) throw nothingToDo(request);
    const { lockWaitMs, compression } = request;
    results.push(...(await fillCopies({ fillings, open, lockWaitMs, compression }, uses)));
    const states = await keepStates(results, { readAtMs, lockWaitMs, open, kept }, uses);
    const isKept = states.every((one) => one.outcome !== 'failed');
    return { ok: isKept && results.every((result) => result.ok), results, states };
  },
});

/** Where nothing was stored, nothing is: such a repository may not even open. */
async function keepStates(
  results: readonly StoredResult[],
  parts: { readAtMs: number; lockWaitMs: number; open: OpenRepositories; kept: ReadonlyMap<string, StateView> },
  uses: Uses,
): Promise<StateView[]> {
  const names = new Set(results.flatMap((one) => (one.snapshot === undefined ? [] : [one.repository])));
  const states: StateView[] = [];
  const { open, kept, readAtMs, lockWaitMs } = parts;
  for (const name of names) {
    const known = kept.get(name);
    states.push(known ?? (await keepState({ name, repository: await open.get(name), readAtMs, lockWaitMs }, uses)));
  }
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

interface StoreParts {
  readonly request: z.infer<typeof input>;
  readonly uses: StoreUses;
  readonly open: OpenRepositories;
  /** Of each repository that the state was stored in along with a source. */
  readonly kept: Map<string, StateView>;
  readonly readAtMs: number;
}

interface FirstStored {
  readonly results: StoredResult[];
  /** The place that took it, or would have: what it holds can be copied. */
  readonly origin?: string;
}

/** Into the first place that takes it: what is wrong with a repository must not cost the day's backup. */
async function storeFirst(source: SourceEntry, places: readonly string[], parts: StoreParts): Promise<FirstStored> {
  const results: StoredResult[] = [];
  for (const [i, name] of places.entries()) {
    const { result, isRepositorys } = await storeOne(source, name, parts);
    results.push(result);
    if (!isRepositorys) return { results, origin: name };
    const next = places.at(i + 1);
    const message = `${source.name} goes into ${next} instead of ${name}: ${result.error?.message ?? result.away?.message}`;
    if (next !== undefined) parts.uses.report({ type: 'note', message });
  }
  return { results };
}

/** Places that were tried in vain have their result already. */
function fillingOf(source: SourceEntry, { results, origin }: FirstStored): Filling[] {
  if (origin === undefined) return [];
  const tried = new Set(results.map((one) => one.repository));
  const to = source.placements.map((one) => one.repository).filter((name) => !tried.has(name));
  return [{ source, from: origin, to }];
}

async function storeOne(
  source: SourceEntry,
  name: string,
  { request, uses, open, kept, readAtMs }: StoreParts,
): Promise<{ result: StoredResult; isRepositorys: boolean }> {
  const nothing = emptyResult(source.name, name, 'backup');
  let window: MaintenanceWindow | undefined;
  let repository: Repository | undefined;
  try {
    repository = await open.get(name);
    window = await uses.maintenance.windowOf(source);
    const owner = { name, repository, readAtMs };
    const result = await backUp({
      repository,
      driver: driverNamed(uses.drivers, source.driver),
      source: await contextOf(source, uses),
      runId: randomBytes(8).toString('hex'),
      compression: request.compression,
      lockWaitMs: request.lockWaitMs,
      force: request.force,
      window,
      state: kept.has(name) ? undefined : () => stateRecord(owner, uses),
    });
    if (result.state) kept.set(name, viewState(name, result.state, uses));
    await rememberStored(name, { id: repository.config.id, snapshot: result.snapshot }, uses);
    return { result: { ...nothing, ...viewResult(result, window) }, isRepositorys: false };
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    const away = repository === undefined ? await whyAway(name, error, uses) : undefined;
    const outcome = away?.(source.name) ?? { ok: false, error: describeError(error) };
    const isRepositorys = repository === undefined || /^(storage|repository)\./.test(describeError(error).code);
    return { result: { ...nothing, ...outcome, ...viewWindow(window) }, isRepositorys };
  }
}

function viewResult(
  result: BackupResult,
  window: MaintenanceWindow | undefined,
): Omit<StoredResult, 'source' | 'repository' | 'action'> {
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
