/** Finds the snapshot a person means, in whichever repository it is. */
import { formatInstant, parseInstant } from '../../base/clock.ts';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import { beginReading, type Reading } from '../../engine/open-contents.ts';
import { type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { findSnapshot, listSnapshots } from '../../repository/index.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { isAbsence } from '../repositories/absence.ts';
import { type NamedRepository, openNamed } from '../repositories/repository-access.ts';
import { type RepositoryRecord, readRecord } from '../repositories/repository-record.ts';

export interface FoundSnapshot extends AsyncDisposable {
  readonly opened: NamedRepository;
  readonly snapshot: StoredSnapshot;
  /** All that were wanted, in that order. */
  readonly wanted: readonly StoredSnapshot[];
  /** All snapshots of that repository, oldest first. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Begun where that was asked for: for `openContents`, which disposes of it. */
  readonly reading?: Reading;
}

type Uses = RepositoryAccess & Execution;
interface Options {
  /** The contents will be read: what that needs is begun while the snapshot is looked for, or as soon as it is chosen. */
  readonly toRead?: boolean;
}

/**
 * Looks in the named repository, else in those of the source that is named, else in all of them. `SOURCE`, `SOURCE@latest`,
 * `SOURCE@TIME` and `latest` mean the newest that fits in any of these, and of equally new ones that of the first repository;
 * an id is looked for in one after the other. A repository that cannot be opened, for whatever reason, is reported and passed
 * over as long as another one has a snapshot that fits.
 */
export async function openSnapshot(
  wanted: string,
  repository: string | undefined,
  uses: Uses,
  options: Options = {},
): Promise<FoundSnapshot> {
  return await openTogether([wanted], repository, uses, options);
}

/** The same for several that have to be in one repository: the last of them is as new as can be, then the one before it. */
export async function openTogether(
  wanted: readonly string[],
  repository: string | undefined,
  uses: Uses,
  { toRead = false }: Options = {},
): Promise<FoundSnapshot> {
  const names = repositoriesFor(wanted, repository, uses);
  const isByTime = names.length > 1 && wanted.some((one) => !isId(one, uses));
  return isByTime ? await openNewest(names, wanted, uses, toRead) : await openFirst(names, wanted, uses, toRead);
}

function isId(wanted: string, { config }: Uses): boolean {
  return /^[0-9a-f]{4,64}$/.test(wanted) && !config.sources.has(wanted);
}

interface Failure {
  readonly name: string;
  readonly error: unknown;
}

async function openFirst(
  names: readonly string[],
  wanted: readonly string[],
  uses: Uses,
  toRead: boolean,
): Promise<FoundSnapshot> {
  const failures: Failure[] = [];
  for (const name of names) {
    let looked: Looked;
    try {
      looked = await lookInto(name, wanted, uses, toRead);
    } catch (error) {
      if (names.length === 1 || hasCode(error, 'cancelled')) throw error;
      report(`repository ${name}: ${messageOf(error)}`, uses);
      failures.push({ name, error });
      continue;
    }
    const { missing } = looked;
    if (missing === undefined) return foundIn(looked);
    await close(looked);
    if (isMisnamed(missing)) throw missing;
    failures.push({ name, error: missing });
  }
  throw worst(failures) ?? noRepository(uses);
}

/** All are asked at the same time: what has to be waited for is the slowest of them. */
async function openNewest(
  names: readonly string[],
  wanted: readonly string[],
  uses: Uses,
  toRead: boolean,
): Promise<FoundSnapshot> {
  const outcomes = await Promise.allSettled(names.map((name) => lookInto(name, wanted, uses, false)));
  const looked = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const unreached = outcomes.flatMap((one, i): Failure[] =>
    one.status === 'rejected' ? [{ name: names[i], error: one.reason }] : [],
  );
  const missing = looked.flatMap(({ opened, missing: error }) => (error ? [{ name: opened.name, error }] : []));
  const final =
    unreached.find(({ error }) => hasCode(error, 'cancelled')) ?? missing.find(({ error }) => isMisnamed(error));
  const fitting = looked.filter((one) => one.missing === undefined);
  const chosen = final ? undefined : fitting.reduce<Looked | undefined>(newerOf, undefined);
  for (const one of looked) if (one !== chosen) await close(one);
  if (final) throw final.error;
  if (chosen === undefined) throw worst([...unreached, ...missing]) ?? noRepository(uses);
  try {
    for (const one of unreached) await tellUnreached(one, chosen, wanted, uses);
    tellNewerElsewhere(looked, chosen, wanted, uses);
    return foundIn(toRead ? { ...chosen, reading: readingOf(chosen.opened, uses) } : chosen);
  } catch (error) {
    await close(chosen);
    throw error;
  }
}

interface Looked {
  readonly opened: NamedRepository;
  readonly snapshots: readonly StoredSnapshot[];
  readonly matches: readonly (StoredSnapshot | undefined)[];
  /** Why one of those that are wanted is not among them. */
  readonly missing?: unknown;
  readonly reading?: Reading;
}

async function lookInto(name: string, wanted: readonly string[], uses: Uses, toRead: boolean): Promise<Looked> {
  const opened = await openNamed(name, uses);
  const reading = toRead ? readingOf(opened, uses) : undefined;
  try {
    const snapshots = await listSnapshots(opened.repository, uses.signal);
    let missing: unknown;
    const matches = wanted.map((one) => {
      try {
        return findSnapshot(snapshots, one);
      } catch (error) {
        missing ??= error;
        return undefined;
      }
    });
    return { opened, snapshots, matches, missing, reading };
  } catch (error) {
    await reading?.[Symbol.asyncDispose]();
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

function readingOf({ repository }: NamedRepository, { report, signal }: Uses): Reading {
  return beginReading({ repository, report, signal });
}

async function close({ opened, reading }: Looked): Promise<void> {
  await reading?.[Symbol.asyncDispose]();
  await opened[Symbol.asyncDispose]();
}

function foundIn({ opened, snapshots, matches, reading }: Looked): FoundSnapshot {
  const wanted = matches.filter((one) => one !== undefined);
  const dispose = async (): Promise<void> => await opened[Symbol.asyncDispose]();
  return { opened, snapshot: wanted[0], wanted, snapshots, reading, [Symbol.asyncDispose]: dispose };
}

/** Of equals the first. */
function newerOf(best: Looked | undefined, one: Looked): Looked {
  if (best === undefined) return one;
  const differing = one.matches.findLastIndex((match, i) => match?.timeMs !== best.matches[i]?.timeMs);
  if (differing < 0) return best;
  return one.matches[differing]!.timeMs > best.matches[differing]!.timeMs ? one : best;
}

/** What cannot be looked into is no reason to be silent about what it may hold. A disk that may be away is a lesser one. */
async function tellUnreached(
  { name, error }: Failure,
  { opened, matches }: Looked,
  wanted: readonly string[],
  uses: Uses,
): Promise<void> {
  const seen = (await readRecord(name, uses))?.seen;
  const known = wanted.flatMap((one, i) =>
    isId(one, uses) ? [] : [{ taken: matches[i]!, newer: newerSeen(one, matches[i]!, seen) }],
  );
  const { taken, newer } =
    known.find((one) => one.newer.kind === 'held') ?? known.find((one) => one.newer.kind === 'unknown') ?? known[0];
  const mayBeAway = uses.config.repositories.get(name)?.mayBeAwayMs !== undefined && isAbsence(error);
  const said = `repository ${name}: ${messageOf(error)}; the snapshot of ${formatInstant(taken.timeMs)} in ${opened.name} is taken`;
  if (newer.kind === 'held') {
    report(`${said}, and ${name} held a newer one, of ${formatInstant(newer.timeMs)}, when it was seen last`, uses);
  } else if (newer.kind === 'none' && mayBeAway) {
    const message = `${said}; when ${name} was seen last, at ${formatInstant(newer.seenMs)}, it held none that is newer`;
    uses.report({ type: 'note', message });
  } else report(`${said}, and ${name} may hold a newer one`, uses);
}

type Newer =
  | { readonly kind: 'held'; readonly timeMs: number }
  | { readonly kind: 'none'; readonly seenMs: number }
  | { readonly kind: 'unknown' };

/**
 * Whether a repository held one that fits better than the one that is taken. Only the newest of each source is remembered:
 * of a younger one than is wanted, none of those before it; of `latest`, none that belong to no source.
 */
function newerSeen(wanted: string, taken: StoredSnapshot, seen: RepositoryRecord['seen']): Newer {
  const ofAll = wanted === 'latest';
  const newestMs = ofAll ? Math.max(...Object.values(seen?.newest ?? {})) : seen?.newest[sourceOf(taken) ?? ''];
  if (seen === undefined || newestMs === undefined) return { kind: 'unknown' };
  if (newestMs <= taken.timeMs) return ofAll ? { kind: 'unknown' } : { kind: 'none', seenMs: seen.atMs };
  const limitMs = parseInstant(/^.+@(.*)$/.exec(wanted)?.[1] ?? '') ?? Number.POSITIVE_INFINITY;
  return newestMs <= limitMs ? { kind: 'held', timeMs: newestMs } : { kind: 'unknown' };
}

/** Only where several have to be in one repository. */
function tellNewerElsewhere(looked: readonly Looked[], chosen: Looked, wanted: readonly string[], uses: Uses): void {
  for (const [i, name] of wanted.entries()) {
    const newer = looked.find((one) => isNewer(one, i, chosen));
    if (newer === undefined) continue;
    const held = `repository ${newer.opened.name} holds a newer «${name}», of ${formatInstant(newer.matches[i]!.timeMs)}`;
    const { name: where } = chosen.opened;
    const older = wanted.findLast((_, at) => isNewer(chosen, at, newer));
    if (newer.missing !== undefined) report(`${held}, but not the other one; ${where} has both`, uses);
    else report(`${held}, but an older «${older}» than ${where}, where both are taken from`, uses);
  }
}

function isNewer(one: Looked, at: number, than: Looked): boolean {
  return (one.matches[at]?.timeMs ?? 0) > (than.matches[at]?.timeMs ?? 0);
}

function report(message: string, uses: Uses): void {
  uses.report({ type: 'warning', code: 'repository', message });
}

/** What is wanted is written wrongly, or says too little: asking elsewhere would not help. */
function isMisnamed(missing: unknown): boolean {
  return hasCode(missing, 'usage.invalid', 'snapshot.ambiguous');
}

/** What could not be looked into says more than «not found» elsewhere. */
function worst(failures: readonly Failure[]): unknown {
  return (failures.find(({ error }) => !hasCode(error, 'snapshot.unknown')) ?? failures[0])?.error;
}

export function repositoriesToSearch(wanted: string, repository: string | undefined, uses: Uses): string[] {
  return repositoriesFor([wanted], repository, uses);
}

function repositoriesFor(wanted: readonly string[], repository: string | undefined, { config }: Uses): string[] {
  if (repository !== undefined) return [repository];
  const own = wanted.map((one) => config.sources.get(one.replace(/@[^@]*$/, ''))?.placements ?? []);
  if (own.some((placements) => placements.length === 0)) return [...config.repositories.keys()];
  return [...new Set(own.flat().map((placement) => placement.repository))];
}

function noRepository(uses: Uses): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `no repository is declared in ${uses.config.file}`,
    remedy: 'Declare one under «repositories:», or name one with --repository.',
  });
}
