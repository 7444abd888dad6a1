import { describe, expect, it } from 'vitest';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { lagOf, matchCopies, wantedCopies } from './copies.ts';

const dayMs = 86_400_000;

function snapshot(id: string, day: number, facts: Partial<StoredSnapshot> = {}): StoredSnapshot {
  const timeMs = Date.UTC(2026, 10, day, 3);
  const time = new Date(timeMs).toISOString();
  return { id, timeMs, time, tree: `t${day}`, paths: ['/x'], tags: ['source:a'], hostname: 'h', ...facts };
}

const ids = (snapshots: readonly StoredSnapshot[]): string[] => snapshots.map(({ id }) => id);

describe('copies are known again', () => {
  it('by the snapshot they name, however often they were copied on', () => {
    const from = [snapshot('a1', 1), snapshot('a2', 2), snapshot('c3', 3, { original: 'z3' })];
    const to = [snapshot('b1', 1, { original: 'a1' }), snapshot('b3', 3, { original: 'z3' })];
    const { missing, present } = matchCopies(from, to);
    expect(ids(missing)).toEqual(['a2']);
    expect(present.map(({ snapshot: one, copy }) => [one.id, copy.id])).toEqual([
      ['c3', 'b3'],
      ['a1', 'b1'],
    ]);
  });

  it('where they were made, when they come back', () => {
    expect(ids(matchCopies([snapshot('b1', 1, { original: 'a1' })], [snapshot('a1', 1)]).missing)).toEqual([]);
  });

  it('only if they say the same: one that was tagged anew is another one', () => {
    const tagged = snapshot('a9', 1, { original: 'a1', tags: ['source:a', 'kept'] });
    expect(ids(matchCopies([tagged], [snapshot('b1', 1, { original: 'a1' })]).missing)).toEqual(['a9']);
    const reordered = snapshot('a1', 1, { tags: ['y', 'x'], parent: 'p' });
    const copied = snapshot('b1', 1, { tags: ['x', 'y'], original: 'a1' });
    expect(ids(matchCopies([reordered], [copied]).missing)).toEqual([]);
  });

  it('what a repair left of a snapshot is not sent where the whole of it is, but the whole is sent where the rest is', () => {
    const repaired = snapshot('a9', 1, { original: 'a1', tree: 'less', tags: ['source:a', 'repaired'] });
    const whole = snapshot('b1', 1, { original: 'a1' });
    expect(matchCopies([repaired], [whole])).toEqual({ missing: [], present: [] });
    expect(ids(matchCopies([whole], [repaired]).missing)).toEqual(['b1']);
    expect(ids(matchCopies([repaired], []).missing)).toEqual(['a9']);
  });
});

describe('what is wanted', () => {
  const nowMs = Date.UTC(2026, 10, 20);
  const daily = (count: number) => new Map([['a', { daily: count }]]);
  const month = Array.from({ length: 19 }, (_, i) => snapshot(`a${i + 1}`, i + 1));

  it('is what the other repository would keep, so that nothing is sent night after night to be removed again', () => {
    const wanted = wantedCopies(matchCopies(month, []), [], { nowMs, keep: daily(3), pins: new Set() });
    expect(ids(wanted)).toEqual(['a19', 'a18', 'a17']);
    const to = [17, 18, 19].map((day) => snapshot(`b${day}`, day, { original: `a${day}` }));
    expect(wantedCopies(matchCopies(month, to), to, { nowMs, keep: daily(3), pins: new Set() })).toEqual([]);
  });

  it('is everything where no rule is declared', () => {
    const wanted = wantedCopies(matchCopies(month, []), [], { nowMs, keep: new Map(), pins: new Set() });
    expect(wanted).toHaveLength(19);
  });

  it('is what is pinned, whatever the rules say', () => {
    const wanted = wantedCopies(matchCopies(month, []), [], { nowMs, keep: daily(1), pins: new Set(['a4']) });
    expect(ids(wanted)).toEqual(['a19', 'a4']);
  });

  it('counts snapshots that are over there already, and other sources by themselves', () => {
    const other = snapshot('o1', 1, { tags: ['source:o'] });
    const to = [snapshot('b19', 19), snapshot('b18', 18)];
    const facts = { nowMs, keep: daily(2), pins: new Set<string>() };
    expect(ids(wantedCopies(matchCopies([...month.slice(0, 17), other], to), to, facts))).toEqual(['o1']);
  });
});

describe('the lag', () => {
  it('is how many are missing, how many of them are newer than all over there, and the newest', () => {
    const to = [snapshot('b5', 5)];
    const lag = lagOf([snapshot('a4', 4), snapshot('a7', 7), snapshot('a6', 6)], to);
    expect(lag).toMatchObject({ missing: 3, behind: 2, newest: { id: 'a7' } });
    expect(lagOf([], to)).toEqual({ missing: 0, behind: 0 });
    expect(lagOf([snapshot('a4', 4)], []).behind).toBe(1);
    expect(lag.newest!.timeMs - to[0].timeMs).toBe(2 * dayMs);
  });
});
