/** What the catalogue was told last: one row a source and repository, whatever their history. */
import { formatInstant } from '../../base/clock.ts';
import { type ErrorCode, errorCatalogue, HoldfastError } from '../../base/errors.ts';
import { copiesBehind } from '../../catalogue/data/behind.ts';
import { rememberedSources } from '../../catalogue/data/remembered-sources.ts';
import { type KnownRepository, knownRepositories } from '../../catalogue/data/repository-states.ts';
import type { KnownSource } from '../../catalogue/data/summary.ts';
import { type EndedRun, lastRuns } from '../../catalogue/last-runs.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { runningRuns } from '../../catalogue/run-list.ts';
import type { Config, RepositoryEntry, SourceEntry } from '../../config/index.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { isAbsence } from '../repositories/absence.ts';
import type { CopiesView, Silence } from '../repositories/repository-state.ts';
import type { Knowledge, KnownRuns } from './knowledge.ts';
import type { SourceRun } from './view.ts';

type Uses = Pick<RepositoryAccess, 'config'> & Pick<Execution, 'clock'> & { readonly catalogue: Catalogue };

/** Brings what is kept in memory up to date, so that nobody who asks waits for what happened since somebody asked last. */
export async function rememberOverview(catalogue: Catalogue): Promise<void> {
  await rememberedSources(catalogue);
  await lastRuns(catalogue);
}

export async function fromCatalogue(uses: Uses): Promise<ReadonlyMap<string, Knowledge>> {
  const { catalogue, config } = uses;
  const [held, repositories] = await Promise.all([rememberedSources(catalogue), knownRepositories(catalogue)]);
  const states = new Map(repositories.map((one) => [one.repository, one]));
  const copies = await lags(held, uses);
  return new Map(
    [...config.repositories.values()].map((entry) => {
      const own = held.get(entry.name) ?? new Map<string, KnownSource>();
      const silence = silenceOf(entry, states.get(entry.name), own);
      const of = (source: SourceEntry): CopiesView | undefined =>
        silence || source.placements[0].repository === entry.name ? undefined : copies(source, entry.name);
      const lastCheck = states.get(entry.name)?.lastCheck;
      const known = { ...(silence ? { silence } : {}), ...(lastCheck ? { lastCheck } : {}) };
      return [entry.name, { ...known, sources: own, copies: of }];
    }),
  );
}

function silenceOf(
  { name, mayBeAwayMs }: RepositoryEntry,
  state: KnownRepository | undefined,
  held: ReadonlyMap<string, KnownSource>,
): Silence | undefined {
  if (state?.seenAtMs !== undefined && !state.error) return undefined;
  const error = state?.error ? asError(state.error, name) : notReadYet(name);
  if (mayBeAwayMs === undefined || !isAbsence(error)) return { error };
  const newest = [...held.values()].flatMap((one) => (one.newest ? [[one.source, one.newest.timeMs] as const] : []));
  const seen =
    state?.seenAtMs === undefined ? {} : seenThen(state.id ?? '', state.seenAtMs, Object.fromEntries(newest));
  return { error, away: { limitMs: mayBeAwayMs, record: { format: 1, config: '', repository: name, ...seen } } };
}

function seenThen(id: string, atMs: number, newest: Record<string, number>) {
  return { seen: { id, atMs, newest } };
}

function asError({ code, message }: { readonly code: string; readonly message: string }, name: string): HoldfastError {
  const known = code in errorCatalogue ? (code as ErrorCode) : 'storage.unreachable';
  return new HoldfastError({ code: known, message, remedy: `Ask it now: holdfast repo list ${name}` });
}

function notReadYet(name: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.missing',
    message: `the server has not read the repository ${name} yet`,
    remedy: `Wait a minute; or ask it now: holdfast repo list ${name}`,
    retry: 'later',
  });
}

/** How far copies are behind: counted only where the newest one is older than in the first repository. */
async function lags(
  held: ReadonlyMap<string, ReadonlyMap<string, KnownSource>>,
  { catalogue, config, clock }: Uses,
): Promise<(source: SourceEntry, to: string) => CopiesView> {
  const nowMs = clock.nowMs();
  const newestIn = (repository: string, source: string) => held.get(repository)?.get(source)?.newest;
  const isBehind = (source: SourceEntry, to: string): boolean =>
    (newestIn(source.placements[0].repository, source.name)?.timeMs ?? 0) > (newestIn(to, source.name)?.timeMs ?? 0);
  const counts = new Map<string, ReadonlyMap<string, number>>();
  for (const [from, to] of pairsBehind(config, isBehind)) {
    counts.set(JSON.stringify([from, to]), await copiesBehind(catalogue, { from, to }));
  }
  return (source, to) => {
    const from = source.placements[0].repository;
    const behind = isBehind(source, to) ? (counts.get(JSON.stringify([from, to]))?.get(source.name) ?? 0) : 0;
    const newest = newestIn(from, source.name);
    const newestMissing = newest && { id: newest.id, time: newest.time, ageMs: nowMs - newest.timeMs };
    return { from, missing: behind, behind, ...(behind > 0 && newestMissing ? { newestMissing } : {}) };
  };
}

function pairsBehind({ sources }: Config, isBehind: (source: SourceEntry, to: string) => boolean): [string, string][] {
  const pairs = new Map<string, [string, string]>();
  for (const source of sources.values()) {
    const [{ repository: from }, ...further] = source.placements;
    for (const { repository: to } of further) {
      if (isBehind(source, to)) pairs.set(JSON.stringify([from, to]), [from, to]);
    }
  }
  return [...pairs.values()];
}

/** By source: those that ended last, one of each kind, and those that go on. */
export async function runsFromCatalogue({ catalogue }: Uses): Promise<(source: string) => KnownRuns> {
  const [last, running] = await Promise.all([lastRuns(catalogue), runningRuns(catalogue)]);
  const active = Map.groupBy(running, (run) => run.source ?? '');
  return (name) => {
    const ended = last.ofKind.get(name);
    return {
      ...{ backup: ended?.get('backup'), drills: last.drills.get(name) },
      shown: () => [...(active.get(name) ?? []).map(viewRunning), ...[...(ended?.values() ?? [])].map(viewEnded)],
    };
  };
}

function viewEnded({ id, kind, state, startedAtMs, endedAtMs, error }: EndedRun): SourceRun {
  return {
    ...{ run: id, kind, state, time: formatInstant(endedAtMs) },
    ...(startedAtMs === undefined ? {} : { durationMs: endedAtMs - startedAtMs }),
    ...(error ? { message: error.message } : {}),
  };
}

function viewRunning({ id, kind, state, startedAtMs, queuedAtMs }: RunRecord): SourceRun {
  return { run: id, kind, state, time: formatInstant(startedAtMs ?? queuedAtMs) };
}
