import { describe, expect, it } from 'vitest';
import { judgePromise, type Kept, type KeptPromises, type Promised, type Told } from './overdue.ts';

const hour = 3_600_000;
const day = 24 * hour;
const promised: Promised = {
  ...{ source: 'shop', policy: 'nightly', backupEveryMs: day },
  proofs: [
    { repository: 'nas', limitMs: 14 * day },
    { repository: 'usb', limitMs: 60 * day },
  ],
};
const well: Told = { overdue: false, stale: new Set() };

function kept(backupMs: number | undefined, proofs: Readonly<Record<string, number>> = {}): KeptPromises {
  const of = (atMs: number | undefined): Kept => ({ sinceMs: 0, ...(atMs === undefined ? {} : { atMs }) });
  return { backup: of(backupMs), proof: (repository) => of(proofs[repository]) };
}

describe('a source', () => {
  it('is told once when it becomes overdue, and once when it is safe again', () => {
    const late = judgePromise(promised, kept(0), well, 49 * hour);
    expect(late.changes).toEqual([
      {
        ...{ source: 'shop', policy: 'nightly', type: 'source.overdue' },
        title: 'the newest backup of shop is 2 days old; promised is at most 2 days',
      },
    ]);
    expect(judgePromise(promised, kept(0), late.told, 50 * hour)).toEqual({ changes: [], told: late.told });
    const back = judgePromise(promised, kept(50 * hour), late.told, 51 * hour);
    expect(back.changes).toMatchObject([{ type: 'source.recovered', title: 'shop is as safe as promised again' }]);
    expect(back.told).toEqual(well);
  });

  it('that is new has the time of its promise for its first backup, and is not called unproven before it', () => {
    expect(judgePromise(promised, kept(undefined), well, 47 * hour).changes).toEqual([]);
    const { changes } = judgePromise(promised, kept(undefined), well, 500 * hour);
    expect(changes.map(({ type }) => type)).toEqual(['source.overdue']);
    expect(changes[0].title).toContain('never backed up');
  });

  it('is told of each repository whose proof is stale by its own limit, until that one is proven', () => {
    const first = judgePromise(promised, kept(15 * day, { usb: 0 }), well, 15 * day);
    expect(first.changes).toMatchObject(
      [
        { type: 'proof.stale', repository: 'nas', title: /^no snapshot of shop in nas was ever proven; .* 14 days$/ },
      ].map((one) => ({ ...one, title: expect.stringMatching(one.title) as string })),
    );
    const then = judgePromise(promised, kept(61 * day, { usb: 0 }), first.told, 61 * day);
    expect(then.changes).toMatchObject([
      {
        type: 'proof.stale',
        repository: 'usb',
        title: 'the last proof of shop in usb is 61 days old; promised is at most 60 days',
      },
    ]);
    const proven = judgePromise(promised, kept(61 * day, { usb: 61 * day }), then.told, 61 * day);
    expect(proven.changes).toMatchObject([
      { type: 'source.recovered', repository: 'usb', title: 'shop in usb is proven again' },
    ]);
    expect([...proven.told.stale]).toEqual(['nas']);
  });

  it('stays stale while nothing proves the contrary', () => {
    const told: Told = { overdue: false, stale: new Set(['nas']) };
    const waiting: KeptPromises = { ...kept(15 * day), proof: () => ({ sinceMs: 15 * day }) };
    expect(judgePromise(promised, waiting, told, 15 * day)).toEqual({ changes: [], told });
  });

  it('that is backed up again is told what is still wrong', () => {
    const told: Told = { overdue: true, stale: new Set(['nas']) };
    const { changes } = judgePromise(promised, kept(15 * day, { nas: 0, usb: 0 }), told, 15 * day);
    expect(changes.map(({ title }) => title)).toEqual(['shop is backed up again, but its proof in nas is still stale']);
  });

  it('that promises nothing owes nothing', () => {
    expect(judgePromise({ source: 'x' }, kept(undefined), well, 10_000 * hour).changes).toEqual([]);
  });
});
