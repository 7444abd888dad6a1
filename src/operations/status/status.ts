/**
 * What is not safely restorable now, and why: for every declared source, in each of its repositories. All of them are looked
 * at whenever it is asked for, also for a short page: what is not safe because time went by needs nobody to notice it.
 */
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { type CatalogueAccess, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { leftElsewhere, viewRepository } from '../repositories/repository-state.ts';
import { visibleTo } from '../runs/visible.ts';
import { stillStopped } from '../sources/left-windows.ts';
import { fromCatalogue, runsFromCatalogue } from './from-catalogue.ts';
import { fromRepositories } from './from-repositories.ts';
import { judgeSource, type Knowledge, type KnownRuns } from './knowledge.ts';
import { isSafe, type Place, placesOf } from './verdicts.ts';
import { isAllSafe, type SourceState, type StatusOutput, statusView } from './view.ts';

export type { SourceState, StatusOutput };
export { isAllSafe };

type Uses = RepositoryAccess & Execution & Partial<CatalogueAccess>;

const input = z.object({
  /** Leave out what is safe: of ten thousand sources, a person wants to see the three that are not. */
  only: z.enum(['all', 'concerns']).default('all'),
  /** What `next` of the page before said. */
  cursor: z.string().max(200).optional(),
  /** At most so many of them; whether all is well, and the counts, are of all. */
  limit: z.number().int().min(1).optional(),
});
type Request = z.input<typeof input>;

/** Others have their turn in between: of ten thousand sources, a millisecond each time. */
const judgedAtOnce = 250;

/** From the catalogue where there is one: what it was told last. From the repositories otherwise. */
export const status = operation({
  name: 'status',
  permission: 'viewer',
  input,
  output: statusView,
  run: async (request: Request, uses: Uses): Promise<StatusOutput> => {
    const { knowledge, runs } = await learn(uses);
    const stopped = await stillStopped(uses);
    const { counts, sources, next, missing } = await judgeAll(request, { knowledge, runs, stopped }, uses);
    const repositories = await Promise.all(
      [...knowledge].map(async ([name, known]) => await viewRepository(name, known, missing.get(name), uses)),
    );
    const ok = isAllSafe({ counts, repositories });
    const elsewhere = leftElsewhere(uses.config, knowledge);
    return { ok, counts, sources, ...(next === undefined ? {} : { next }), repositories, elsewhere };
  },
});

interface Judgement {
  readonly counts: { states: number; concerns: number; sources: number; unsafeSources: number };
  /** Of the page that was asked for. */
  readonly sources: SourceState[];
  next?: string;
  /** By repository that is filled by copying: how many snapshots should be there and are not. */
  readonly missing: Map<string, number>;
}

/** Of what the caller may see, where there is one who may not see all. */
async function judgeAll(
  { only, cursor, limit = Number.POSITIVE_INFINITY }: Request,
  learnt: Learnt & { readonly stopped: ReadonlyMap<string, string[]> },
  uses: Uses,
): Promise<Judgement> {
  const isSeen = seenSources(uses);
  const judgement: Judgement = {
    counts: { states: 0, concerns: 0, sources: 0, unsafeSources: 0 },
    sources: [],
    missing: new Map(),
  };
  const { counts, sources, missing } = judgement;
  const places = placesOf(uses.config).filter(({ source }) => isSeen(source.name));
  const unsafe = new Set<string>();
  const from = cursor === undefined ? 0 : placeAfter(places, cursor);
  for (const [at, place] of places.entries()) {
    if (at % judgedAtOnce === judgedAtOnce - 1) await giveWay(uses);
    const { source, placement } = place;
    const halted = learnt.stopped.get(source.name);
    const known = { knowledge: learnt.knowledge, runs: learnt.runs?.(source.name) };
    const { ok: safe, copies } = isSafe(place, known, uses);
    const ok = safe && halted === undefined;
    tally(counts, place, ok);
    if (!ok) unsafe.add(source.name);
    count(missing, placement.repository, copies?.missing);
    if (at < from || (ok && only === 'concerns')) continue;
    if (sources.length < limit) sources.push(withStopped(judgeSource(source, placement, known, uses).view(), halted));
    else judgement.next ??= cursorAt(sources[limit - 1]);
  }
  counts.unsafeSources = unsafe.size;
  return judgement;
}

function tally(counts: Judgement['counts'], { source, placement }: Place, ok: boolean): void {
  counts.states++;
  if (placement === source.placements[0]) counts.sources++;
  if (!ok) counts.concerns++;
}

async function giveWay({ signal }: Uses): Promise<void> {
  await setImmediate();
  throwIfCancelled(signal);
}

/** Names hold no slash. */
function cursorAt({ source, repository }: Pick<SourceState, 'source' | 'repository'>): string {
  return `${source}/${repository}`;
}

/** Throws for one that is not there, as for one that the caller may not see: going on anywhere might leave something out. */
function placeAfter(places: readonly Place[], cursor: string): number {
  const [name, repository] = cursor.split('/');
  const at = places.findIndex((one) => one.source.name === name && one.placement.repository === repository);
  if (at >= 0) return at + 1;
  throw new HoldfastError({
    code: 'request.invalid',
    message: `the list does not go on after «${cursor}»: that is not declared, or not any more`,
    remedy: 'Begin it again, without a cursor.',
  });
}

function count(sums: Map<string, number>, key: string, more: number | undefined): void {
  if (more !== undefined) sums.set(key, (sums.get(key) ?? 0) + more);
}

function seenSources({ principal, config }: Uses): (source: string) => boolean {
  const visible = principal && visibleTo(principal, 'viewer', { config });
  if (visible === undefined) return () => true;
  const names = new Set(visible.sources);
  return (source) => names.has(source);
}

interface Learnt {
  readonly knowledge: ReadonlyMap<string, Knowledge>;
  /** Of a source; only where runs are remembered. */
  readonly runs?: (source: string) => KnownRuns;
}

async function learn(uses: Uses): Promise<Learnt> {
  const { catalogue } = uses;
  if (catalogue === undefined) return { knowledge: await fromRepositories(uses) };
  const known = { ...uses, catalogue };
  const [knowledge, runs] = await Promise.all([fromCatalogue(known), runsFromCatalogue(known)]);
  return { knowledge, runs };
}

/** A service that stands still because of a backup is the most urgent thing to know about its source. */
function withStopped(state: SourceState, stopped: readonly string[] | undefined): SourceState {
  if (stopped === undefined) return state;
  const message = `a backup that was interrupted stopped ${stopped.join(', ')}, which could not be started again`;
  const concern = { kind: 'services-stopped', message, remedy: 'Start it by hand; then run any holdfast command.' };
  return { ...state, ok: false, concerns: [concern, ...state.concerns] };
}
