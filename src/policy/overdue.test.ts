import { describe, expect, it } from 'vitest';
import { judgePromise } from './overdue.ts';

const hour = 3_600_000;
const promised = { source: 'shop', policy: 'nightly', backupEveryMs: 24 * hour, drillEveryMs: 7 * 24 * hour };
const well = { overdue: false, stale: false };

describe('a source', () => {
  it('is told once when it becomes overdue, and once when it is safe again', () => {
    const late = judgePromise(promised, { backupMs: 0, proofMs: 0, knownSinceMs: 0 }, well, 49 * hour);
    expect(late).toMatchObject([{ type: 'source.overdue', policy: 'nightly', told: { overdue: true, stale: false } }]);
    expect(late[0].title).toBe('the newest backup of shop is 2 days old; promised is at most 2 days');
    expect(judgePromise(promised, { backupMs: 0, proofMs: 0, knownSinceMs: 0 }, late[0].told, 50 * hour)).toEqual([]);
    const back = judgePromise(promised, { backupMs: 50 * hour, proofMs: 0, knownSinceMs: 0 }, late[0].told, 51 * hour);
    expect(back).toMatchObject([{ type: 'source.recovered', title: 'shop is as safe as promised again', told: well }]);
  });

  it('that is new has the time of its promise for its first backup, and is not called unproven before it', () => {
    expect(judgePromise(promised, { knownSinceMs: 0 }, well, 47 * hour)).toEqual([]);
    const late = judgePromise(promised, { knownSinceMs: 0 }, well, 500 * hour);
    expect(late.map((one) => one.type)).toEqual(['source.overdue']);
    expect(late[0].title).toContain('never backed up');
  });

  it('whose proof is stale is told so by itself', () => {
    const kept = { backupMs: 400 * hour, proofMs: 0, knownSinceMs: 0 };
    const stale = judgePromise(promised, kept, well, 401 * hour);
    expect(stale.map((one) => one.type)).toEqual(['proof.stale']);
    const proven = judgePromise(promised, { ...kept, proofMs: 401 * hour }, stale[0].told, 402 * hour);
    expect(proven.map((one) => one.type)).toEqual(['source.recovered']);
  });

  it('that promises nothing owes nothing', () => {
    expect(judgePromise({ source: 'x' }, { knownSinceMs: 0 }, well, 10_000 * hour)).toEqual([]);
  });
});
