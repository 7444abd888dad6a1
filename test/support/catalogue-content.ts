/** Snapshots and proofs as repositories list them, made up. */
import { createHash } from 'node:crypto';
import { formatInstant } from '../../src/base/clock.ts';
import type { StoredProof } from '../../src/model/proof.ts';
import { type StoredSnapshot, snapshotTags } from '../../src/model/snapshot.ts';

export function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function snapshotOf(source: string, timeMs: number, more: Partial<StoredSnapshot> = {}): StoredSnapshot {
  return {
    id: idOf(`${source} ${timeMs}`),
    time: formatInstant(timeMs),
    timeMs,
    tree: idOf('tree'),
    paths: [`/srv/${source}`],
    hostname: 'box',
    tags: snapshotTags({ source, driver: 'files', run: `run-${timeMs}` }),
    summary: { totalBytesProcessed: 1000 + timeMs, dataAddedPacked: 10, totalFilesProcessed: 3 },
    ...more,
  };
}

export function proofOf(snapshot: StoredSnapshot, source: string, startedAtMs: number, passed = true): StoredProof {
  return {
    ...{ format: 1, source, driver: 'files', snapshot: snapshot.id, snapshotTime: snapshot.time, startedAtMs },
    ...{ restoreMs: 12.4, compareMs: 3, restoredBytes: 1000, verdict: passed ? 'passed' : 'failed' },
    ...{ checksTotal: 1, checksFailed: passed ? 0 : 1, checks: [], host: 'box', programVersion: 'holdfast 0.1.0' },
    id: idOf(`${snapshot.id} ${startedAtMs}`),
  };
}
