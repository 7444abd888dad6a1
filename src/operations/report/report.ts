/** What a period was like: what was backed up and proven, on which days, what did not go well, and how repositories grew. */
import { z } from 'zod';
import { formatInstant, parseInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { isTimeZone } from '../../config/index.ts';
import { defaultWorkspace, isAtLeast, type Principal, roleIn } from '../../model/principal.ts';
import { runKinds } from '../../model/run-record.ts';
import { type CatalogueAccess, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { type DayFact, dayFacts, sizeFacts } from './facts.ts';
import { dayBoundaries } from './period.ts';
import { mostTroubles, troublesOf } from './troubles.ts';

const dayMs = 86_400_000;
/** A month, unless a period is named. */
const usualMs = 30 * dayMs;
const mostDays = 400;
/** Runs that were found missed, or made up for, this long after the period still belong to it. */
const lateMs = 2 * dayMs;

const input = z.object({
  /** RFC 3339; default: 30 days before `until`. */
  since: z.string().optional(),
  /** Default: now. */
  until: z.string().optional(),
  /** Of the days; default: the machine's. */
  timezone: z.string().refine(isTimeZone, 'is no time zone: write it like Europe/Madrid').optional(),
});
const counts = z.object({ succeeded: z.number(), failed: z.number(), missed: z.number(), cancelled: z.number() });
const row = z.object({
  kind: z.enum(runKinds),
  source: z.string().optional(),
  repository: z.string().optional(),
  counts,
  /** One letter a day: + all well · ! something failed and something was done well · x failed · m missed · . nothing. */
  days: z.string(),
  bytes: z.number(),
  addedBytes: z.number(),
  longestMs: z.number(),
});
export type ReportRow = z.infer<typeof row>;
const trouble = z.object({
  run: z.string(),
  kind: z.string(),
  state: z.string(),
  source: z.string().optional(),
  repository: z.string().optional(),
  time: z.string(),
  message: z.string(),
  madeGood: z.string().optional(),
});
const size = z.object({
  repository: z.string(),
  first: z.object({ time: z.string(), storedBytes: z.number(), snapshots: z.number() }),
  last: z.object({ time: z.string(), storedBytes: z.number(), snapshots: z.number() }),
});
const output = z.object({
  since: z.string(),
  until: z.string(),
  /** When each day began. */
  days: z.array(z.string()),
  total: counts,
  rows: z.array(row),
  troubles: z.array(trouble),
  moreTroubles: z.number(),
  repositories: z.array(size),
});
export type ReportOutput = z.infer<typeof output>;

type Uses = RepositoryAccess & Execution & CatalogueAccess;

/** Memory: one row for each source and kind. */
export const report = operation({
  name: 'report',
  permission: 'viewer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<ReportOutput> => {
    const { catalogue } = uses;
    const { sinceMs, untilMs } = periodOf(request, uses.clock.nowMs());
    const boundaries = dayBoundaries(sinceMs, untilMs, request.timezone);
    const isSeen = visibleTo(uses.principal, uses);
    const rows = new Map<string, Gathered>();
    for await (const facts of dayFacts(catalogue, boundaries, lateMs)) {
      for (const fact of facts) if (isSeen(fact)) gather(rows, fact, boundaries.length - 1);
    }
    const shown = [...rows.values()].map(viewRow).sort(byKindAndName);
    const found = await troublesOf(catalogue, { sinceMs, untilMs, lateMs });
    const troubles = found.troubles.filter(isSeen);
    return {
      since: formatInstant(sinceMs),
      until: formatInstant(untilMs),
      days: boundaries.slice(0, -1).map(formatInstant),
      total: shown.map((one) => one.counts).reduce(add, { succeeded: 0, failed: 0, missed: 0, cancelled: 0 }),
      rows: shown,
      troubles,
      moreTroubles: found.troubles.length === mostTroubles ? found.more : 0,
      repositories: sizesOf((await sizeFacts(catalogue, sinceMs, untilMs)).filter(isSeen)),
    };
  },
});

function periodOf(request: z.infer<typeof input>, nowMs: number): { sinceMs: number; untilMs: number } {
  const untilMs = request.until === undefined ? nowMs : parseInstant(request.until);
  const sinceMs = request.since === undefined ? (untilMs ?? nowMs) - usualMs : parseInstant(request.since);
  const days = sinceMs === undefined || untilMs === undefined ? Number.NaN : (untilMs - sinceMs) / dayMs;
  if (days > 0 && days <= mostDays) return { sinceMs: sinceMs!, untilMs: untilMs! };
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `from ${request.since ?? '30 days ago'} to ${request.until ?? 'now'} is no period of at most ${mostDays} days`,
    remedy: 'Write instants like 2026-11-01T00:00Z, the earlier one first.',
  });
}

interface Named {
  readonly source?: string | null;
  readonly repository?: string | null;
}

/** What is no longer declared is shown to who may see everything. */
function visibleTo(principal: Principal, { config }: Uses): (of: Named) => boolean {
  const everything = isAtLeast(roleIn(principal), 'viewer') && principal.sources === undefined;
  return ({ source, repository }) => {
    if (everything) return true;
    if (principal.sources !== undefined && !principal.sources.has(source ?? '')) return false;
    const declared = source ? config.sources.get(source) : config.repositories.get(repository ?? '');
    return declared !== undefined && isAtLeast(roleIn(principal, declared.workspace ?? defaultWorkspace), 'viewer');
  };
}

interface Gathered extends Omit<ReportRow, 'days'> {
  readonly good: Set<number>;
  readonly bad: Set<number>;
  readonly missed: Set<number>;
  readonly length: number;
}

function gather(rows: Map<string, Gathered>, fact: DayFact, length: number): void {
  const { kind, source, repository, state } = fact;
  const key = JSON.stringify([kind, source, source === null ? repository : null]);
  const known = rows.get(key) ?? {
    kind,
    ...(source === null ? {} : { source }),
    ...(source === null && repository !== null ? { repository } : {}),
    counts: { succeeded: 0, failed: 0, missed: 0, cancelled: 0 },
    ...{ bytes: 0, addedBytes: 0, longestMs: 0, length },
    ...{ good: new Set<number>(), bad: new Set<number>(), missed: new Set<number>() },
  };
  rows.set(key, known);
  if (state === 'queued' || state === 'running') return;
  known.counts[state] += fact.count;
  known.bytes += fact.bytes;
  known.addedBytes += fact.addedBytes;
  known.longestMs = Math.max(known.longestMs, fact.longestMs);
  if (state === 'succeeded') known.good.add(fact.day);
  if (state === 'failed') known.bad.add(fact.day);
  if (state === 'missed') known.missed.add(fact.day);
}

function viewRow({ good, bad, missed, length, ...facts }: Gathered): ReportRow {
  const letter = (day: number): string => {
    if (bad.has(day)) return good.has(day) ? '!' : 'x';
    if (good.has(day)) return '+';
    return missed.has(day) ? 'm' : '.';
  };
  return { ...facts, days: Array.from({ length }, (_, day) => letter(day)).join('') };
}

function byKindAndName(a: ReportRow, b: ReportRow): number {
  const kinds = runKinds.indexOf(a.kind) - runKinds.indexOf(b.kind);
  return kinds || (a.source ?? a.repository ?? '').localeCompare(b.source ?? b.repository ?? '');
}

type Counts = z.infer<typeof counts>;

function add(a: Counts, b: Counts): Counts {
  return {
    succeeded: a.succeeded + b.succeeded,
    failed: a.failed + b.failed,
    missed: a.missed + b.missed,
    cancelled: a.cancelled + b.cancelled,
  };
}

function sizesOf(facts: Awaited<ReturnType<typeof sizeFacts>>): ReportOutput['repositories'] {
  const names = [...new Set(facts.map((fact) => fact.repository))];
  return names.map((repository) => {
    const [first, last] = [facts.find(isOf)!, facts.findLast(isOf)!].map(({ atMs, storedBytes, snapshots }) => ({
      time: formatInstant(atMs),
      storedBytes,
      snapshots,
    }));
    return { repository, first, last };
    function isOf(fact: Named): boolean {
      return fact.repository === repository;
    }
  });
}
