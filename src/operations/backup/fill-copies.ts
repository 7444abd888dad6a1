/**
 * After the sources were backed up: their further repositories are filled by copying. What could not be copied fails no
 * backup, is told, and is caught up by the next run: what is missing is seen from the repositories themselves.
 */
import { formatInstant } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import type { SourceEntry } from '../../config/index.ts';
import { type CopyResult, type CopySides, copySnapshots } from '../../engine/copy.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { isState, sourceOf } from '../../model/snapshot.ts';
import { matchCopies } from '../../policy/copies.ts';
import type { Compression, Repository } from '../../repository/index.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { isAbsence, judgeAbsence } from '../repositories/absence.ts';
import type { OpenRepositories } from '../repositories/open-repositories.ts';
import { readRecord, remember, seen } from '../repositories/repository-record.ts';
import { chosenCopies, wantedOf } from './chosen-copies.ts';
import { emptyResult, errorOf, type StoredResult } from './stored-result.ts';

/** A source whose snapshots in one repository are to be in others, too. */
export interface Filling {
  readonly source: SourceEntry;
  readonly from: string;
  readonly to: readonly string[];
}

export interface FillRequest {
  readonly fillings: readonly Filling[];
  readonly open: OpenRepositories;
  readonly compression?: Compression;
  readonly lockWaitMs: number;
}

type Uses = RepositoryAccess & Execution;

interface Pair {
  readonly from: string;
  readonly to: string;
  readonly sources: readonly string[];
}

/** One result for every source in each of its further repositories. Only cancelling is thrown. */
export async function fillCopies(request: FillRequest, uses: Uses): Promise<StoredResult[]> {
  const results: StoredResult[] = [];
  for (const pair of pairsOf(request.fillings)) results.push(...(await fillPair(pair, request, uses)));
  return results;
}

/** Together what goes the same way, so that locks and indexes are taken once. */
function pairsOf(fillings: readonly Filling[]): Pair[] {
  const ways = fillings.flatMap(({ source, from, to }) => to.map((one) => ({ from, to: one, source: source.name })));
  const groups = Map.groupBy(ways, ({ from, to }) => JSON.stringify([from, to]));
  return [...groups.values()].map((group) => ({
    from: group[0].from,
    to: group[0].to,
    sources: group.map(({ source }) => source),
  }));
}

async function fillPair(pair: Pair, request: FillRequest, uses: Uses): Promise<StoredResult[]> {
  const { from, to, sources } = pair;
  let target: Repository | undefined;
  try {
    target = await request.open.get(to);
    const origin = await request.open.get(from);
    let sides: CopySides | undefined;
    const choose = chosenCopies(uses.config, { to, sources, nowMs: uses.clock.nowMs() });
    const listed = (given: CopySides) => {
      sides = given;
      return choose(given);
    };
    const result = await copyBetween({ origin, target, choose: listed }, request, uses);
    const returned = await bringBack({ origin, target, pair, sides: sides! }, request, uses);
    await note(pair, { target, result, there: sides!.to }, uses);
    return [...sources.map((source) => viewCopied(source, pair, result)), ...returned];
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    return await explain(pair, { error, isOpen: target !== undefined }, uses);
  }
}

interface Copying {
  readonly origin: Repository;
  readonly target: Repository;
  readonly choose: Parameters<typeof copySnapshots>[0]['choose'];
}

async function copyBetween(
  { origin: from, target: to, choose }: Copying,
  { compression, lockWaitMs }: FillRequest,
  { clock, report, signal }: Uses,
): Promise<CopyResult> {
  return await copySnapshots({ from, to, choose, compression, lockWaitMs, clock, report, signal });
}

/**
 * While the first repository of a source was not there, another one took its backups: they belong into the first one, too.
 * Only snapshots made since it holds any of that source: a repository that takes the place of another one is not filled
 * with the past of the others without being told to.
 */
async function bringBack(
  { origin, target, pair, sides }: Omit<Copying, 'choose'> & { readonly pair: Pair; readonly sides: CopySides },
  request: FillRequest,
  uses: Uses,
): Promise<StoredResult[]> {
  const { from, to, sources } = pair;
  const isDue = (one: StoredSnapshot): boolean =>
    one.original === undefined &&
    !isState(one) &&
    sources.includes(sourceOf(one) ?? '') &&
    sides.from.some((other) => sourceOf(other) === sourceOf(one) && other.timeMs < one.timeMs);
  if (matchCopies(sides.to.filter(isDue), sides.from).missing.length === 0) return [];
  const choose = ({ from: listed, to: there, pins }: CopySides) => {
    const match = matchCopies(listed.filter(isDue), there);
    const wanted = wantedOf(match, { to: there, pins }, { config: uses.config, to: from, nowMs: uses.clock.nowMs() });
    return { wanted, present: matchCopies(listed, there).present.map(({ snapshot }) => snapshot) };
  };
  const result = await copyBetween({ origin: target, target: origin, choose }, request, uses);
  const back = { from: to, to: from, sources };
  const touched = new Set([...result.copied, ...result.failed].map(({ snapshot }) => sourceOf(snapshot)));
  return sources.filter((source) => touched.has(source)).map((source) => viewCopied(source, back, result));
}

async function note(
  { from, to }: Pair,
  { target, result, there }: { target: Repository; result: CopyResult; there: readonly StoredSnapshot[] },
  uses: Uses,
): Promise<void> {
  const atMs = uses.clock.nowMs();
  const { copied, failed } = result;
  const now = [...there, ...copied.map(({ snapshot }) => snapshot)];
  const message = failed.at(0)?.error.message;
  const lastCopy = { atMs, from, ok: failed.length === 0, copied: copied.length, message };
  await remember(to, { seen: seen(target.config.id, now, atMs), lastCopy }, uses);
}

function viewCopied(source: string, { from, to }: Pair, result: CopyResult): StoredResult {
  const copied = result.copied.filter(({ snapshot }) => sourceOf(snapshot) === source);
  const failed = result.failed.filter(({ snapshot }) => sourceOf(snapshot) === source);
  const newest = copied.toSorted((a, b) => b.snapshot.timeMs - a.snapshot.timeMs).at(0);
  return {
    ...emptyResult(source, to, 'copy'),
    ok: failed.length === 0,
    from,
    copied: copied.length,
    left: failed.length,
    snapshot: newest?.id,
    time: newest?.snapshot.time,
    bytes: copied.reduce((sum, one) => sum + one.bytes, 0),
    durationMs: Math.round(result.durationMs),
    ...(failed.length > 0 ? { error: errorOf(failed[0].error) } : {}),
  };
}

/** Nothing could be copied: it is away, or something is wrong. */
async function explain(
  { from, to, sources }: Pair,
  { error, isOpen }: { readonly error: unknown; readonly isOpen: boolean },
  uses: Uses,
): Promise<StoredResult[]> {
  const away = isOpen ? undefined : await whyAway(to, error, uses);
  if (!away) {
    const failure = errorOf(error);
    const lastCopy = { atMs: uses.clock.nowMs(), from, ok: false, copied: 0, message: failure.message };
    await remember(to, { lastCopy }, uses);
    return sources.map((source) => ({
      ...emptyResult(source, to, 'copy'),
      ok: false,
      from,
      copied: 0,
      error: failure,
    }));
  }
  return sources.map((source) => ({ ...emptyResult(source, to, 'copy'), from, copied: 0, ...away(source) }));
}

/** For a repository that may be away and is: what that means for a source. `undefined` for every other failure. */
export async function whyAway(
  repository: string,
  error: unknown,
  uses: Uses,
): Promise<((source: string) => Pick<StoredResult, 'ok' | 'away'>) | undefined> {
  const limitMs = uses.config.repositories.get(repository)?.mayBeAwayMs;
  if (limitMs === undefined || !isAbsence(error)) return undefined;
  const record = await readRecord(repository, uses);
  return (source) => {
    const { isFine, sinceMs, message } = judgeAbsence(record, limitMs, {
      nowMs: uses.clock.nowMs(),
      sources: [source],
    });
    const since = sinceMs === undefined ? {} : { since: formatInstant(sinceMs) };
    return { ok: isFine, away: { ...since, message } };
  };
}
