/** Logs, events, leases and signs of life, on SQLite and on PostgreSQL: the same tests for both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import {
  followHappenings,
  listHappenings,
  newestHappening,
  recordHappening,
  removeOldHappenings,
} from '../../src/catalogue/happenings.ts';
import { acquireLease, keepLease, leaseOf, releaseLease } from '../../src/catalogue/leases.ts';
import type { Catalogue, CatalogueAddress } from '../../src/catalogue/open.ts';
import { appendLog, readLog, removeOldLogs, tailLog } from '../../src/catalogue/run-log.ts';
import { claimRun, finishRun, insertRun, requestCancel } from '../../src/catalogue/runs.ts';
import { forgetSchedule, markSeen, seenSchedules } from '../../src/catalogue/schedules.ts';
import { inTransaction } from '../../src/catalogue/transaction.ts';
import { listWorkers, removeSilentWorkers, removeWorker, sayAlive } from '../../src/catalogue/workers.ts';
import { type CataloguePlace, cataloguePlaces } from '../support/catalogues.ts';

const backup = { kind: 'backup', source: 'shop', host: 'local', trigger: 'manual', askedBy: 'anna' } as const;
const note = (message: string, atMs = 1) => ({ atMs, event: { type: 'note', message } as const });
const warning = (title: string) => ({ type: 'run.warning', title }) as const;

describe.each(cataloguePlaces)('in $title', ({ make }) => {
  let place: CataloguePlace;
  let address: CatalogueAddress;
  let catalogue: Catalogue;
  beforeAll(async () => {
    place = await make();
    address = await place.address();
    catalogue = await place.open(address);
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  test('a log is numbered without gaps, also when several write it at once', async () => {
    const { id } = await insertRun(catalogue, backup);
    const other = await place.open(address);
    const writers = [catalogue, other, catalogue, other];
    const lines = (i: number) => Array.from({ length: 300 }, (_, j) => note(`${i}.${j}\0\ud800`));
    await Promise.all(writers.map((one, i) => appendLog(one, { id }, lines(i))));
    const log = await readLog(catalogue, { id, limit: 5000 });
    expect(log.map((line) => line.seq)).toEqual(Array.from({ length: 1200 }, (_, i) => i + 1));
    expect(log[0].event).toMatchObject({ type: 'note', message: expect.stringMatching(/^\d\.0\0\ud800$/) });
    expect((await readLog(catalogue, { id, fromSeq: 1199, limit: 5 })).map((line) => line.seq)).toEqual([1199, 1200]);
  });

  test('who lost a run writes nothing into its log', async () => {
    const { id } = await insertRun(catalogue, backup);
    const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
    expect(await appendLog(catalogue, { id, fence }, [note('mine')])).toBe(true);
    expect(await appendLog(catalogue, { id, fence: fence + 1 }, [note('not mine')])).toBe(false);
    expect(await appendLog(catalogue, { id: 'none' }, [note('of nothing')])).toBe(false);
    expect(await readLog(catalogue, { id, limit: 10 })).toHaveLength(1);
  });

  test('who follows a log gets every line once, and the end', async () => {
    const writer = await place.open(address);
    const { id } = await insertRun(writer, backup);
    const { fence } = (await claimRun(writer, { id, worker: 'w', leaseMs: 60_000 }))!;
    const write = async () => {
      for (let i = 0; i < 30; i++) await appendLog(writer, { id, fence }, [note(`a${i}`), note(`b${i}`)]);
      await finishRun(writer, { id, fence, outcome: { state: 'succeeded' }, events: [] });
    };
    const follow = async (from: Catalogue) => {
      const seen: number[] = [];
      const { signal } = new AbortController();
      for await (const line of tailLog(from, { id, fromSeq: 3 }, { signal, clock: systemClock })) seen.push(line.seq);
      return seen;
    };
    const [, ...seen] = await Promise.all([write(), follow(writer), follow(catalogue)]);
    const expected = Array.from({ length: 58 }, (_, i) => i + 3);
    expect(seen).toEqual([expected, expected]);
  });

  test('old logs go, those of runs that have not ended stay', async () => {
    const own = { ...(await place.open()), nowMs: async () => 1000 };
    const [ended, going] = [await insertRun(own, backup), await insertRun(own, backup)];
    for (const { id } of [ended, going])
      await appendLog(
        own,
        { id },
        Array.from({ length: 5 }, () => note('x')),
      );
    await requestCancel(own, { id: ended.id, by: 'test' });
    const removed: number[] = [];
    while (removed.at(-1) !== 0) removed.push(await removeOldLogs(own, 2000, 2));
    expect(removed).toEqual([2, 2, 1, 0]);
    expect(await readLog(own, { id: going.id, limit: 10 })).toHaveLength(5);
    expect(await readLog(own, { id: ended.id, limit: 10 })).toEqual([]);
  });

  test('who follows what happens misses nothing and gets nothing twice, whoever writes it', async () => {
    const writers = [catalogue, await place.open(address), await place.open(address)];
    const afterId = await newestHappening(catalogue);
    const stop = new AbortController();
    const count = 240;
    const follow = async (from: Catalogue) => {
      const seen: string[] = [];
      for await (const event of followHappenings(from, { afterId }, { signal: stop.signal, clock: systemClock })) {
        seen.push(event.title);
        if (seen.length === count) return seen;
      }
      return seen;
    };
    const write = async (writer: Catalogue, name: string) => {
      for (let i = 0; i < count / 12; i++) {
        await inTransaction(writer, async ({ record }) => {
          await record(warning(`${name}.${i}a`));
          // Another writer would commit in between.
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
          await record(warning(`${name}.${i}b`));
        });
      }
    };
    const following = [follow(catalogue), follow(writers[1])];
    await Promise.all([0, 1, 2, 3, 4, 5].map((i) => write(writers[i % 3], `w${i}`)));
    const [one, other] = await Promise.all(following);
    expect(new Set(one).size).toBe(count);
    expect(other).toEqual(one);
    const newest = await listHappenings(catalogue, {}, { limit: count });
    expect(newest.events.map((event) => event.title).toReversed()).toEqual(one);
  });

  test('who follows and is told to stop, stops', async () => {
    const stop = new AbortController();
    const afterId = await newestHappening(catalogue);
    const next = followHappenings(catalogue, { afterId }, { signal: stop.signal, clock: systemClock })
      [Symbol.asyncIterator]()
      .next();
    stop.abort();
    await expect(next).rejects.toThrow();
  });

  test('ids grow also when the clock steps back', async () => {
    let now = 5000;
    const own = { ...(await place.open()), nowMs: async () => now };
    const ids: string[] = [];
    for (now of [5000, 5000, 4000, 4001, 3000, 6000]) ids.push((await recordHappening(own, warning('x'))).id);
    expect(ids.every((id, i) => i === 0 || id > ids[i - 1])).toBe(true);
  });

  test('events are listed by what they are about, and by who may see it', async () => {
    const own = await place.open();
    const about = [{ source: 'a' }, { source: 'b', repository: 'r' }, { repository: 'r' }, {}];
    for (const [i, one] of about.entries()) {
      const facts = { i, title: 'ü' };
      await recordHappening(own, { type: 'backup.failed', title: `${i}\0`, errorCode: 'storage.full', ...one, facts });
    }
    await recordHappening(own, { type: 'server.started', title: '4', severity: 'warning' });
    const titles = async (filter: Parameters<typeof listHappenings>[1]) =>
      (await listHappenings(own, filter, { limit: 10 })).events.map((event) => event.title[0]).join('');
    expect(await titles({})).toBe('43210');
    expect(await titles({ severities: ['error'], repository: 'r' })).toBe('21');
    expect(await titles({ types: ['server.started'] })).toBe('4');
    expect(await titles({ visible: { sources: ['a'], repositories: ['r'], general: false } })).toBe('20');
    expect(await titles({ visible: { sources: [], repositories: [], general: true } })).toBe('43');
    const { events, next } = await listHappenings(own, {}, { limit: 4 });
    expect(events[3]).toEqual({
      ...{ id: next, type: 'backup.failed', severity: 'error', atMs: events[3].atMs, errorCode: 'storage.full' },
      ...{ title: '1\ufffd', source: 'b', repository: 'r', facts: { i: 1, title: 'ü' } },
    });
    expect(await removeOldHappenings(own, (await own.nowMs()) + 1000, 3)).toBe(3);
    expect(await titles({})).toBe('43');
  });

  test('a name has one holder, until its lease ends or is given back', async () => {
    const ask = (holder: string, leaseMs = 60_000) => acquireLease(catalogue, { name: 'leader', holder, leaseMs });
    const asked = await Promise.all(Array.from({ length: 8 }, (_, i) => ask(`w${i}`)));
    const [first] = asked.filter((one) => one !== undefined);
    expect(asked.filter((one) => one !== undefined)).toHaveLength(1);
    expect(await keepLease(catalogue, first, 60_000)).toMatchObject({ holder: first.holder, fence: first.fence });
    expect(await leaseOf(catalogue, 'leader')).toMatchObject({ holder: first.holder });
    await releaseLease(catalogue, first);
    expect(await leaseOf(catalogue, 'leader')).toBeUndefined();
    const second = (await ask('other', -1))!;
    expect(second.fence).toBe(first.fence + 1);
    expect(await keepLease(catalogue, first, 60_000)).toBeUndefined();
    const third = (await ask('third'))!;
    await releaseLease(catalogue, second);
    expect(await leaseOf(catalogue, 'leader')).toEqual(third);
  });

  test('what a schedule was seen to never goes back', async () => {
    await markSeen(catalogue, new Map(Array.from({ length: 1200 }, (_, i) => [`s${i}`, 100])));
    await markSeen(
      catalogue,
      new Map([
        ['s1', 50],
        ['s2', 200],
      ]),
    );
    const seen = await seenSchedules(catalogue);
    expect([seen.size, seen.get('s1'), seen.get('s2')]).toEqual([1200, 100, 200]);
    await forgetSchedule(catalogue, 's1');
    expect((await seenSchedules(catalogue)).has('s1')).toBe(false);
  });

  test('workers are known while they say so', async () => {
    const facts = { name: 'a', startedAtMs: 1, version: '1', facts: { capacity: 4 } };
    await sayAlive(catalogue, facts);
    await sayAlive(catalogue, { ...facts, version: '2' });
    await sayAlive(catalogue, { ...facts, name: 'b' });
    expect(await listWorkers(catalogue)).toMatchObject([{ ...facts, version: '2' }, { name: 'b' }]);
    await removeWorker(catalogue, 'b');
    expect(await removeSilentWorkers(catalogue, (await catalogue.nowMs()) + 1000)).toEqual(['a']);
    expect(await listWorkers(catalogue)).toEqual([]);
  });
});
