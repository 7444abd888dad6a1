/** Which snapshots a repository is to have copies of: what its placements keep, or what a person named. */
import { localOffsetMinutes } from '../../base/clock.ts';
import type { Config } from '../../config/index.ts';
import type { CopyRequest, CopySides } from '../../engine/copy.ts';
import type { Retention } from '../../model/policy.ts';
import { isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { type CopyMatch, matchCopies, wantedCopies } from '../../policy/copies.ts';
import { findSnapshot } from '../../repository/index.ts';

export interface CopyOrder {
  /** Name of the repository that gets them. */
  readonly to: string;
  /** Only these sources. */
  readonly sources?: readonly string[];
  /** Exactly these, whatever the rules say: ids, prefixes, SOURCE@TIME. */
  readonly snapshots?: readonly string[];
  /** Also what the rules of `to` would remove again. */
  readonly all?: boolean;
  readonly nowMs: number;
}

/** As the engine asks for it; `snapshot.unknown` for one that was named and is not there. */
export function chosenCopies(config: Config, order: CopyOrder): CopyRequest['choose'] {
  return (sides) => {
    const match = matchOf(sides, order);
    const isNamed = order.all === true || (order.snapshots ?? []).length > 0;
    const wanted = isNamed ? match.missing : wantedOf(match, sides, { config, ...order });
    return { wanted, present: match.present.map(({ snapshot }) => snapshot) };
  };
}

function matchOf({ from, to }: CopySides, { sources, snapshots = [] }: CopyOrder): CopyMatch {
  // What a repository says of itself is its own.
  const own = from.filter((one) => !isState(one));
  const among = sources === undefined ? own : own.filter((one) => sources.includes(sourceOf(one) ?? ''));
  const match = matchCopies(among, to);
  if (snapshots.length === 0) return match;
  const named = new Set(snapshots.map((wanted) => findSnapshot(among, wanted)));
  return { missing: match.missing.filter((one) => named.has(one)), present: match.present };
}

/** What is missing and would stay over there. */
export function wantedOf(
  match: CopyMatch,
  { to, pins }: Pick<CopySides, 'to' | 'pins'>,
  { config, to: name, nowMs }: Pick<CopyOrder, 'to' | 'nowMs'> & { readonly config: Config },
): StoredSnapshot[] {
  return wantedCopies(match, to, { nowMs, localOffsetMinutes, pins, keep: keepOf(config, name) });
}

function keepOf(config: Config, repository: string): Map<string, Retention | undefined> {
  const placed = [...config.sources.values()].flatMap(({ name, placements }) =>
    placements.filter((one) => one.repository === repository).map(({ keep }) => [name, keep] as const),
  );
  return new Map(placed);
}
