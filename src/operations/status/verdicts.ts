/**
 * Whether each source is safe in each of its places, without describing it. A verdict is made anew as soon as anything it was
 * made of is another one: what is known of the source there, its last runs, how far its copies are behind, the configuration;
 * and, of a source that was safe, as soon as time alone may have changed that.
 */
import type { Config, Placement, SourceEntry } from '../../config/index.ts';
import { concernsAbout, safeUntilMs } from '../../policy/readiness.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import type { CopiesView } from '../repositories/repository-state.ts';
import { factsOf, judgeSource, type Learnt, nothing, runsIn } from './knowledge.ts';

type Uses = Pick<RepositoryAccess, 'config'> & Pick<Execution, 'clock'>;

/** A source in one of its repositories. */
export interface Place {
  readonly source: SourceEntry;
  readonly placement: Placement;
  verdict?: Verdict;
}

interface Verdict {
  readonly ok: boolean;
  /** Not before, and not after. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Objects that are never changed, and numbers. */
  readonly known: unknown;
  readonly backup: unknown;
  readonly drill: unknown;
  readonly behind: unknown;
}

/** A configuration is never changed: another one has places of its own. */
const places = new WeakMap<Config, readonly Place[]>();

/** As they are declared. */
export function placesOf(config: Config): readonly Place[] {
  const found = places.get(config);
  if (found) return found;
  const made = [...config.sources.values()].flatMap((source) =>
    source.placements.map((placement): Place => ({ source, placement })),
  );
  places.set(config, made);
  return made;
}

export function isSafe(
  place: Place,
  learnt: Learnt,
  uses: Uses,
): { readonly ok: boolean; readonly copies?: CopiesView } {
  const { source, placement, verdict } = place;
  const here = learnt.knowledge.get(placement.repository)!;
  if (here.silence) return judgeSource(source, placement, learnt, uses);
  const known = here.sources.get(source.name) ?? nothing;
  const copies = here.copies(source);
  const { backup, drill } = runsIn(source, placement, learnt.runs ?? {});
  const by = { known, backup, drill, behind: copies?.behind };
  const nowMs = uses.clock.nowMs();
  if (verdict !== undefined && holds(verdict, by, nowMs)) return { ok: verdict.ok, copies };
  const facts = factsOf(source, placement, { known, copies, runs: learnt.runs }, uses);
  const ok = concernsAbout(facts).length === 0;
  place.verdict = { ok, fromMs: facts.nowMs, untilMs: ok ? safeUntilMs(facts) : Number.POSITIVE_INFINITY, ...by };
  return { ok, copies };
}

function holds(
  verdict: Verdict,
  { known, backup, drill, behind }: Pick<Verdict, 'known' | 'backup' | 'drill' | 'behind'>,
  nowMs: number,
): boolean {
  return (
    nowMs >= verdict.fromMs &&
    nowMs <= verdict.untilMs &&
    known === verdict.known &&
    backup === verdict.backup &&
    drill === verdict.drill &&
    behind === verdict.behind
  );
}
