/** What the catalogue promises, on SQLite and on PostgreSQL: the same tests for both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Catalogue } from '../../src/catalogue/open.ts';
import { countRuns, listRuns, removeOldRuns, runningRuns, startableRuns } from '../../src/catalogue/run-list.ts';
import {
  claimRun,
  closeLostRuns,
  finishRun,
  getRun,
  insertDueRun,
  insertMissedRun,
  insertRun,
  markMissed,
  type NewRun,
  renewLease,
  requestCancel,
  saveProgress,
} from '../../src/catalogue/runs.ts';
import { type CataloguePlace, cataloguePlaces } from '../support/catalogues.ts';

const day = 86_400_000;
const backup: NewRun = {
  kind: 'backup',
  source: 'shop',
  repository: 'nas',
  host: 'local',
  trigger: 'manual',
  askedBy: 'anna',
};
const succeeded = { type: 'backup.succeeded', title: 'the backup of shop into nas succeeded' } as const;

describe.each(cataloguePlaces)('a catalogue in $title', ({ make }) => {
  let place: CataloguePlace;
  let catalogue: Catalogue;
  beforeAll(async () => {
    place = await make();
    catalogue = await place.open();
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  const happenings = async (run: string): Promise<string[]> => {
    const rows = await catalogue.db.selectFrom('happening').select('type').where('run', '=', run).execute();
    return rows.map((row) => row.type);
  };
  const claim = async (id: string, leaseMs = 60_000) => (await claimRun(catalogue, { id, worker: 'w1', leaseMs }))!;
  /** As if its holder had not been heard of for long. */
  const loseLease = async (id: string) => {
    await catalogue.db.updateTable('run').set({ leaseUntilMs: 1 }).where('id', '=', id).execute();
  };

  describe('runs', () => {
    test('a run is what was put in, and has its result after it ended', async () => {
      const made = await insertRun(catalogue, { ...backup, policy: 'nightly', input: { tags: ['a', 'ü\0'] } });
      expect(made).toMatchObject({ ...backup, state: 'queued', attempt: 1, cancelRequested: false });
      const { fence, run } = await claim(made.id);
      expect(run).toMatchObject({ state: 'running', worker: 'w1', input: { tags: ['a', 'ü\0'] } });
      const progress = { type: 'progress', stage: 'read', bytesDone: 5e12 } as const;
      expect(await saveProgress(catalogue, { id: made.id, fence }, progress)).toBe(true);
      const outcome = { state: 'succeeded', result: { ok: true }, bytes: 5e12, snapshot: 'abc' } as const;
      const ended = await finishRun(catalogue, { id: made.id, fence, outcome, events: [succeeded] });
      expect(await getRun(catalogue, made.id)).toEqual(ended);
      expect(ended).toMatchObject({ state: 'succeeded', progress, result: { ok: true }, bytes: 5e12, snapshot: 'abc' });
      expect(await happenings(made.id)).toEqual(['backup.succeeded']);
    });

    test('a due run exists once, however often and by however many it is queued', async () => {
      const due = { ...backup, slotMs: 1000, slotKey: 'backup/nightly/shop/nas@1000' };
      const made = await Promise.all(Array.from({ length: 8 }, () => insertDueRun(catalogue, due)));
      expect(made.filter((one) => one !== undefined)).toHaveLength(1);
      expect(await insertMissedRun(catalogue, { ...due, reason: 'it was late' })).toBeUndefined();
    });

    test('of many who claim a run one gets it', async () => {
      const { id } = await insertRun(catalogue, backup);
      const claims = await Promise.all(
        Array.from({ length: 8 }, (_, i) => claimRun(catalogue, { id, worker: `w${i}`, leaseMs: 1000 })),
      );
      expect(claims.filter((one) => one !== undefined)).toHaveLength(1);
    });

    test('an outcome that is told twice is written once', async () => {
      const { id } = await insertRun(catalogue, backup);
      const { fence } = await claim(id);
      const told = { id, fence, outcome: { state: 'succeeded' }, events: [succeeded] } as const;
      const first = await finishRun(catalogue, told);
      expect(await finishRun(catalogue, told)).toEqual(first);
      expect(await happenings(id)).toHaveLength(1);
    });

    test('who lost a run writes nothing any more, and a final state stays', async () => {
      const { id } = await insertRun(catalogue, backup);
      const { fence } = await claim(id);
      await loseLease(id);
      expect((await closeLostRuns(catalogue)).map((one) => one.id)).toContain(id);
      const lost = await getRun(catalogue, id);
      expect(lost).toMatchObject({ state: 'failed', error: { code: 'run.lost' } });
      expect(await renewLease(catalogue, { id, fence, leaseMs: 1000 })).toBe(false);
      expect(await saveProgress(catalogue, { id, fence }, { type: 'progress', stage: 'x', bytesDone: 1 })).toBe(false);
      for (const state of ['succeeded', 'failed'] as const) {
        expect(await finishRun(catalogue, { id, fence, outcome: { state }, events: [succeeded] })).toBeUndefined();
      }
      expect(await getRun(catalogue, id)).toEqual(lost);
      expect(await happenings(id)).toEqual(['run.lost']);
    });

    test('a run whose lease goes on is not closed, and its holder hears that it is to stop', async () => {
      const { id } = await insertRun(catalogue, backup);
      const { fence } = await claim(id);
      expect(await closeLostRuns(catalogue)).toEqual([]);
      expect(await renewLease(catalogue, { id, fence, leaseMs: 60_000 })).toMatchObject({ cancelRequested: false });
      expect(await requestCancel(catalogue, { id, by: 'anna' })).toMatchObject({ outcome: 'requested' });
      expect(await renewLease(catalogue, { id, fence, leaseMs: 60_000 })).toMatchObject({ cancelRequested: true });
      expect((await runningRuns(catalogue)).find((one) => one.id === id)).toMatchObject({
        fence,
        cancelRequested: true,
      });
      await finishRun(catalogue, { id, fence, outcome: { state: 'cancelled' }, events: [] });
      expect(await requestCancel(catalogue, { id, by: 'anna' })).toMatchObject({ outcome: 'ended' });
      expect(await requestCancel(catalogue, { id: 'nothing', by: 'anna' })).toBeUndefined();
    });

    test('a queued run is cancelled at once, and cannot be claimed', async () => {
      const { id } = await insertRun(catalogue, backup);
      expect(await requestCancel(catalogue, { id, by: 'anna' })).toMatchObject({ outcome: 'cancelled' });
      expect(await claimRun(catalogue, { id, worker: 'w', leaseMs: 1000 })).toBeUndefined();
      expect(await happenings(id)).toEqual(['run.cancelled']);
    });

    test('cancelling and claiming at the same moment end as one or the other', async () => {
      for (let i = 0; i < 10; i++) {
        const { id } = await insertRun(catalogue, backup);
        const [claimed, cancelled] = await Promise.all([
          claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }),
          requestCancel(catalogue, { id, by: 'anna' }),
        ]);
        expect(cancelled?.outcome).toBe(claimed ? 'requested' : 'cancelled');
        expect(await getRun(catalogue, id)).toMatchObject({
          state: claimed ? 'running' : 'cancelled',
          cancelRequested: !!claimed,
        });
        if (claimed)
          await finishRun(catalogue, { id, fence: claimed.fence, outcome: { state: 'cancelled' }, events: [] });
      }
    });

    test('what was missed is kept and reported', async () => {
      const due = { ...backup, slotMs: 2000, slotKey: 'backup/nightly/shop/nas@2000' };
      const missed = await insertMissedRun(catalogue, { ...due, reason: 'nothing was running' });
      expect(missed).toMatchObject({ state: 'missed', error: { code: 'run.missed' } });
      const queued = await insertRun(catalogue, { ...backup, kind: 'drill' });
      expect(await markMissed(catalogue, { id: queued.id, reason: 'its window closed' })).toMatchObject({
        state: 'missed',
      });
      expect(await markMissed(catalogue, { id: queued.id, reason: 'again' })).toBeUndefined();
      expect([...(await happenings(missed!.id)), ...(await happenings(queued.id))]).toEqual([
        'backup.missed',
        'drill.missed',
      ]);
    });

    test('what may not start yet is not offered', async () => {
      const nowMs = await catalogue.nowMs();
      const later = await insertRun(catalogue, { ...backup, notBeforeMs: nowMs + day });
      const sooner = await insertRun(catalogue, { ...backup, notBeforeMs: nowMs - day });
      const offered = await startableRuns(catalogue, { limit: 100 });
      expect(offered[0].id).toBe(sooner.id);
      expect(offered.map((one) => one.id)).not.toContain(later.id);
      expect((await startableRuns(catalogue, { limit: 100, after: sooner })).map((one) => one.id)).not.toContain(
        sooner.id,
      );
    });
  });

  describe('lists of runs', () => {
    let own: Catalogue;
    let now = 0;
    beforeAll(async () => {
      own = await place.open();
      // PostgreSQL has its own time; ids and instants are what lists go by.
      own = { ...own, nowMs: async () => now };
      for (now = 1; now <= 60; now++) {
        const run = await insertRun(own, {
          ...backup,
          kind: now % 10 === 0 ? 'prune' : 'backup',
          source: now % 10 === 0 ? undefined : `s${now % 3}`,
          repository: `r${now % 2}`,
        });
        if (now % 4 === 0) await requestCancel(own, { id: run.id, by: 'test' });
      }
    });
    const all = async (filter: Parameters<typeof listRuns>[1], limit = 7): Promise<number[]> => {
      const found: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await listRuns(own, filter, { cursor, limit });
        found.push(...page.runs.map((one) => one.queuedAtMs));
        cursor = page.next;
      } while (cursor !== undefined);
      return found;
    };
    const expected = (is: (ms: number) => boolean): number[] =>
      Array.from({ length: 60 }, (_, i) => 60 - i).filter((ms) => is(ms));

    test('pages put together are the whole list, newest first', async () => {
      for (const limit of [1, 7, 60, 100]) expect(await all({}, limit)).toEqual(expected(() => true));
    });
    test('filters leave out what does not match', async () => {
      expect(await all({ states: ['cancelled'] })).toEqual(expected((ms) => ms % 4 === 0));
      expect(await all({ kinds: ['prune', 'check'] })).toEqual(expected((ms) => ms % 10 === 0));
      expect(await all({ source: 's1', repository: 'r0' })).toEqual(
        expected((ms) => ms % 10 !== 0 && ms % 3 === 1 && ms % 2 === 0),
      );
      expect(await all({ sinceMs: 10, untilMs: 20 })).toEqual(expected((ms) => ms >= 10 && ms < 20));
      expect(await all({ states: [] })).toEqual([]);
      expect(await all({ policy: 'none' })).toEqual([]);
    });
    test.each([0, 200])('what somebody may not see is not there (%i more names)', async (more) => {
      const others = Array.from({ length: more }, (_, i) => `x${i}`);
      const visible = { sources: ['s1', ...others], repositories: ['r0'] };
      expect(await all({ visible })).toEqual(expected((ms) => (ms % 10 === 0 ? ms % 2 === 0 : ms % 3 === 1)));
      expect(await all({ visible: { sources: others, repositories: [] } })).toEqual([]);
    });
    test('counts are those of the list', async () => {
      expect(await countRuns(own)).toMatchObject({ queued: 45, cancelled: 15, failed: 0 });
      expect(await countRuns(own, { sinceMs: 41 })).toMatchObject({ queued: 15, cancelled: 5 });
    });
    test('old runs go in batches, and those that have not ended stay', async () => {
      now = 100;
      expect(await removeOldRuns(own, 41, 7)).toBe(7);
      expect(await removeOldRuns(own, 41, 7)).toBe(3);
      expect(await removeOldRuns(own, 41, 7)).toBe(0);
      expect(await countRuns(own)).toMatchObject({ queued: 45, cancelled: 5 });
    });
  });
});
