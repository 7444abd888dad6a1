import { expect, it } from 'vitest';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { protectedSnapshots } from './protection.ts';

function snapshot(id: string, source: string, timeMs: number): StoredSnapshot {
  return { id, timeMs, time: new Date(timeMs).toISOString(), tree: '', paths: ['/x'], tags: [`source:${source}`] };
}

it('protects pinned, newest good and newest proven snapshots of every source', () => {
  const snapshots = [snapshot('a1', 'a', 1), snapshot('a2', 'a', 2), snapshot('a3', 'a', 3), snapshot('b1', 'b', 1)];
  const reasons = protectedSnapshots({
    snapshots,
    pins: new Set(['a1']),
    proofs: [
      { snapshot: 'a1', startedAtMs: 10, verdict: 'passed' },
      { snapshot: 'a3', startedAtMs: 11, verdict: 'passed' },
      { snapshot: 'a3', startedAtMs: 12, verdict: 'failed' },
    ],
  });
  expect(Object.fromEntries(reasons)).toEqual({
    a1: ['pinned', 'newest proven snapshot'],
    a2: ['newest good snapshot'],
    b1: ['newest good snapshot'],
  });
});

it('protects the newest snapshot when every drill failed', () => {
  const reasons = protectedSnapshots({
    snapshots: [snapshot('a1', 'a', 1), snapshot('a2', 'a', 2)],
    pins: new Set(),
    proofs: ['a1', 'a2'].map((id) => ({ snapshot: id, startedAtMs: 1, verdict: 'failed' as const })),
  });
  expect([...reasons.keys()]).toEqual(['a2']);
});
