/** A snapshot as people and programs see it: one shape in every list. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import type { StoredProof } from '../../model/proof.ts';
import { driverOf, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';

export const proofView = z.object({
  id: z.string(),
  snapshot: z.string(),
  source: z.string(),
  driver: z.string(),
  verdict: z.enum(['passed', 'failed']),
  /** When the drill began. */
  time: z.string(),
  snapshotTime: z.string(),
  restoreMs: z.number(),
  compareMs: z.number(),
  restoredBytes: z.number(),
  checksTotal: z.number(),
  checksFailed: z.number(),
  host: z.string(),
  /** What the copy ran in, if it was a server. */
  instance: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
});
export type ProofView = z.infer<typeof proofView>;

export const snapshotView = z.object({
  id: z.string(),
  time: z.string(),
  timeMs: z.number(),
  repository: z.string(),
  /** Absent for snapshots other programs made. */
  source: z.string().optional(),
  driver: z.string().optional(),
  hostname: z.string().optional(),
  paths: z.array(z.string()),
  tags: z.array(z.string()),
  files: z.number().optional(),
  /** Bytes of the source as it was, and what the snapshot added to the repository. */
  bytes: z.number().optional(),
  addedBytes: z.number().optional(),
  pinned: z.boolean(),
  /** Its last drill. */
  proof: proofView.optional(),
});
export type SnapshotView = z.infer<typeof snapshotView>;

export function viewSnapshot(
  snapshot: StoredSnapshot,
  facts: { repository: string; pinned: boolean; proof?: StoredProof },
): SnapshotView {
  const { summary } = snapshot;
  return {
    id: snapshot.id,
    time: snapshot.time,
    timeMs: snapshot.timeMs,
    repository: facts.repository,
    source: sourceOf(snapshot),
    driver: driverOf(snapshot),
    hostname: snapshot.hostname,
    paths: [...snapshot.paths],
    tags: [...(snapshot.tags ?? [])],
    files: summary?.totalFilesProcessed,
    bytes: summary?.totalBytesProcessed,
    addedBytes: summary?.dataAddedPacked,
    pinned: facts.pinned,
    ...(facts.proof ? { proof: viewProof(facts.proof) } : {}),
  };
}

export function viewProof(proof: StoredProof): ProofView {
  return {
    id: proof.id,
    snapshot: proof.snapshot,
    source: proof.source,
    driver: proof.driver,
    verdict: proof.verdict,
    time: formatInstant(proof.startedAtMs),
    snapshotTime: proof.snapshotTime,
    restoreMs: Math.round(proof.restoreMs),
    compareMs: Math.round(proof.compareMs),
    restoredBytes: proof.restoredBytes,
    checksTotal: proof.checksTotal,
    checksFailed: proof.checksFailed,
    host: proof.host,
    ...(proof.instance === undefined ? {} : { instance: proof.instance }),
    ...(proof.error ? { error: { ...proof.error } } : {}),
  };
}

/** The newest proof of each snapshot. */
export function lastProofs(proofs: readonly StoredProof[]): Map<string, StoredProof> {
  const oldestFirst = proofs.toSorted((a, b) => a.startedAtMs - b.startedAtMs);
  return new Map(oldestFirst.map((proof) => [proof.snapshot, proof]));
}
