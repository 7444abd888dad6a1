/** Snapshots that no retention rule may remove: pinned ones, the newest good and the newest proven one of each source. */
import type { Proof } from '../model/proof.ts';
import { type StoredSnapshot, sourceOf } from '../model/snapshot.ts';

export interface ProtectionFacts {
  /** All snapshots of the repository, in any order. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Ids of pinned snapshots. */
  readonly pins: ReadonlySet<string>;
  readonly proofs: readonly Pick<Proof, 'snapshot' | 'startedAtMs' | 'verdict'>[];
}

/** Why each protected snapshot stays, by id. Newest good: the newest whose last drill did not fail (never drilled counts as good). */
export function protectedSnapshots(facts: ProtectionFacts): Map<string, string[]> {
  const reasons = new Map<string, string[]>();
  const protect = (snapshot: StoredSnapshot | undefined, reason: string): void => {
    if (snapshot) reasons.set(snapshot.id, [...(reasons.get(snapshot.id) ?? []), reason]);
  };
  for (const snapshot of facts.snapshots) if (facts.pins.has(snapshot.id)) protect(snapshot, 'pinned');
  const verdicts = lastVerdicts(facts.proofs);
  for (const group of Map.groupBy(facts.snapshots, groupOf).values()) {
    const newestFirst = group.toSorted((a, b) => b.timeMs - a.timeMs);
    const good = newestFirst.find((one) => verdicts.get(one.id) !== 'failed') ?? newestFirst[0];
    protect(good, 'newest good snapshot');
    protect(
      newestFirst.find((one) => verdicts.get(one.id) === 'passed'),
      'newest proven snapshot',
    );
  }
  return reasons;
}

/** The group a snapshot is retained in: its source, or host and paths for snapshots other programs made. */
export function groupOf(snapshot: StoredSnapshot): string {
  const source = sourceOf(snapshot);
  return source === undefined
    ? JSON.stringify([snapshot.hostname ?? '', snapshot.paths.toSorted()])
    : JSON.stringify([source]);
}

function lastVerdicts(proofs: ProtectionFacts['proofs']): Map<string, Proof['verdict']> {
  const oldestFirst = proofs.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  return new Map(oldestFirst.map((proof) => [proof.snapshot, proof.verdict]));
}
