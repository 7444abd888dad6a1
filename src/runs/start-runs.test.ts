import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SimulatedClock } from '../../test/support/simulated-clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Catalogue, openCatalogue } from '../catalogue/open.ts';
import { readLog } from '../catalogue/run-log.ts';
import { getRun, insertDueRun, insertRun, type NewRun, requestCancel } from '../catalogue/runs.ts';
import type { RunRecord } from '../model/run-record.ts';
import type { RunPlan, Schedule } from '../policy/run-plan.ts';
import type { Execute } from './execute.ts';
import { type Runs, startRuns } from './start-runs.ts';

const minute = 60_000;
const hour = 60 * minute;
const start = Date.parse('2026-05-05T00:00:00Z');

let clock: SimulatedClock;
let catalogue: Catalogue;
let started: Runs[];
beforeEach(async () => {
  clock = new SimulatedClock(start);
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => clock.nowMs());
  started = [];
});
afterEach(async () => {
  for (const runs of started) await whileTimeGoesBy(runs.stop(0));
  await catalogue[Symbol.asyncDispose]();
});

/** What waits for the clock needs it to go on. */
async function whileTimeGoesBy<T>(promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = promise.finally(() => {
    isOver = true;
  });
  await clock.advance(clock.nowMs() + hour, () => isOver);
  return await over;
}

const nothing: RunPlan = {
  schedules: [],
  limits: { runs: 4, perHost: 4, perRepository: 4 },
  timings: new Map(),
  touches: () => [],
  stops: () => [],
  windowOf: () => undefined,
  after: () => [],
  retrying: () => ({ attempts: 3, delayMs: 5 * minute }),
  timeoutMs: () => undefined,
  promised: [],
  history: { runsMs: 400 * 24 * hour, logsMs: 90 * 24 * hour, eventsMs: 400 * 24 * hour },
};

function begin(
  execute: Execute,
  plan: Partial<RunPlan> = {},
  parts: { name?: string; capacity?: number; catalogue?: Catalogue; leaseMs?: number } = {},
): Runs {
  const whole = { ...nothing, ...plan };
  const log = { warn: () => undefined };
  const runs = startRuns({
    ...{ catalogue, clock, log, execute },
    name: 'one',
    capacity: 4,
    plan: () => whole,
    ...parts,
  });
  started.push(runs);
  return runs;
}

/** So that hours of simulated time are not full of signs of life. */
const patient = { leaseMs: 20 * minute };
const backup: NewRun = { kind: 'backup', source: 'shop', host: 'local', trigger: 'manual', askedBy: 'anna' };
const due = (source: string, policy: string, slotMs: number) =>
  ({
    kind: 'backup',
    source,
    policy,
    slotMs,
    host: 'local',
    trigger: 'schedule',
    askedBy: 'schedule',
    slotKey: `backup/${policy}/${source}/@${slotMs}`,
  }) as const;
const at = async (id: string): Promise<RunRecord> => (await getRun(catalogue, id))!;
const eventsOf = async (id: string): Promise<string[]> =>
  (await catalogue.db.selectFrom('happening').select('type').where('run', '=', id).execute()).map((row) => row.type);
const all = async () => await catalogue.db.selectFrom('run').selectAll().orderBy('id').execute();
const well: Execute = async (_run, { clock: time, signal }) => {
  await time.sleep(minute, { signal });
  return { ok: true, bytes: 7, result: { fine: true } };
};

describe('a run', () => {
  it('that somebody asks for is done, and told of', async () => {
    begin(well);
    const { id } = await insertRun(catalogue, backup);
    await clock.advance(start + 2 * minute);
    expect(await at(id)).toMatchObject({ state: 'succeeded', bytes: 7, result: { fine: true }, worker: 'one' });
    expect(await eventsOf(id)).toEqual(['backup.succeeded']);
  });

  it('that names no repository is of the one that it turned out to be', async () => {
    begin(async () => ({ ok: true, repository: 'r2' }));
    const { id } = await insertRun(catalogue, { ...backup, kind: 'drill' });
    await clock.advance(start + 2 * minute);
    expect(await at(id)).toMatchObject({ state: 'succeeded', repository: 'r2' });
  });

  it('that is cancelled ends as cancelled, within the time of a renewal', async () => {
    begin(async (_run, { clock: time, signal }) => {
      await time.sleep(100 * hour, { signal });
      return { ok: true };
    });
    const { id } = await insertRun(catalogue, backup);
    await clock.advance(start + minute);
    expect((await at(id)).state).toBe('running');
    await requestCancel(catalogue, { id, by: 'anna' });
    await clock.advance(start + minute + 11_000);
    expect((await at(id)).state).toBe('cancelled');
    expect(await eventsOf(id)).toEqual(['run.cancelled']);
  });

  it('that takes too long is stopped, fails, and is tried again as its policy says', async () => {
    begin(
      async (_run, { clock: time, signal }) => {
        await time.sleep(100 * hour, { signal });
        return { ok: true };
      },
      { timeoutMs: () => hour },
    );
    const { id } = await insertRun(catalogue, { ...backup, slotMs: start });
    await clock.advance(start + 61 * minute);
    expect(await at(id)).toMatchObject({ state: 'failed', error: { code: 'run.timeout' } });
    const [, again] = await all();
    expect(again).toMatchObject({ retryOf: id, attempt: 2, trigger: 'retry', state: 'queued' });
  });

  it('that fails for good is not tried again; one that may go better later waits longer each time, and then no more', async () => {
    begin(async ({ source }) => {
      const isLater = source === 'later';
      throw new HoldfastError({
        code: isLater ? 'storage.unreachable' : 'storage.denied',
        message: 'no',
        remedy: 'r',
        retry: isLater ? 'later' : 'never',
      });
    });
    await insertRun(catalogue, { ...backup, source: 'never' });
    await insertRun(catalogue, { ...backup, source: 'later' });
    await clock.advance(start + 2 * hour);
    const rows = await all();
    expect(rows.filter((row) => row.source === 'never')).toHaveLength(1);
    const tries = rows.filter((row) => row.source === 'later').sort((a, b) => a.attempt - b.attempt);
    expect(tries.map((row) => row.attempt)).toEqual([1, 2, 3]);
    expect(tries.every((row) => row.state === 'failed')).toBe(true);
    const gaps = tries.slice(1).map((row, i) => Math.round((row.startedAtMs! - tries[i].endedAtMs!) / minute));
    expect(gaps).toEqual([5, 10]);
  });

  it('whose operation says that not all went well has failed', async () => {
    begin(async () => ({
      ok: false,
      error: { code: 'drill.failed', message: 'differs', remedy: 'r' },
      snapshot: 'abc',
    }));
    const { id } = await insertRun(catalogue, { ...backup, kind: 'drill' });
    await clock.advance(start + minute);
    expect(await at(id)).toMatchObject({ state: 'failed', error: { code: 'drill.failed' }, snapshot: 'abc' });
    expect(await eventsOf(id)).toEqual(['drill.failed']);
  });

  it('that this process stops for is begun again by the next', async () => {
    const first = begin(async (_run, { clock: time, signal }) => {
      await time.sleep(100 * hour, { signal });
      return { ok: true };
    });
    const { id } = await insertRun(catalogue, backup);
    await clock.advance(start + minute);
    await whileTimeGoesBy(first.stop(10_000));
    expect((await at(id)).state).toBe('cancelled');
    expect(first.running).toEqual([]);
    begin(well, {}, { name: 'two' });
    await clock.advance(clock.nowMs() + 5 * minute);
    expect((await all()).map((row) => [row.state, row.worker])).toEqual([
      ['cancelled', 'one'],
      ['succeeded', 'two'],
    ]);
  });

  it('writes what it tells into its log', async () => {
    begin(async (_run, { clock: time, report }) => {
      report({ type: 'note', message: 'hello' });
      report({ type: 'progress', stage: 'read', bytesDone: 1 });
      report({ type: 'warning', code: 'internal', message: 'hm' });
      await time.sleep(minute);
      return { ok: true };
    });
    const { id } = await insertRun(catalogue, backup);
    await clock.advance(start + 10_000);
    expect((await readLog(catalogue, { id, limit: 9 })).map((line) => line.event.type)).toEqual(['note', 'warning']);
    expect((await at(id)).progress).toMatchObject({ bytesDone: 1 });
    await clock.advance(start + 2 * minute);
    expect(await eventsOf(id)).toEqual(['backup.succeeded', 'run.warning']);
  });
});

describe('a worker whose catalogue is away', () => {
  it('stops its run before the lease ends; the run is closed and repeated by another one, and never is there more than one', async () => {
    let isAway = false;
    let active = 0;
    let most = 0;
    const worked: string[] = [];
    const execute =
      (name: string): Execute =>
      async (_run, { clock: time, signal }) => {
        worked.push(name);
        most = Math.max(most, ++active);
        try {
          await time.sleep(30 * minute, { signal });
          return { ok: true };
        } finally {
          active--;
        }
      };
    const cut: Catalogue = {
      ...catalogue,
      nowMs: async () => {
        if (isAway) throw new Error('the network is cut');
        return clock.nowMs();
      },
    };
    begin(execute('one'), {}, { name: 'one', catalogue: cut });
    const { id } = await insertRun(catalogue, { ...backup, slotMs: start });
    await clock.advance(start + minute);
    isAway = true;
    await clock.advance(start + minute + 55_000);
    expect(active).toBe(0);
    begin(execute('two'), {}, { name: 'two' });
    await clock.advance(start + hour);
    expect(most).toBe(1);
    expect(worked).toEqual(['one', 'two']);
    expect(await at(id)).toMatchObject({ state: 'failed', error: { code: 'run.lost' } });
    expect(await eventsOf(id)).toEqual(['run.lost']);
    expect((await all()).at(-1)).toMatchObject({ state: 'succeeded', retryOf: id });
  });
});

describe('what comes after others', () => {
  const daily = { kind: 'cron', cron: '0 2 * * *', timezone: 'UTC' } as const;
  const order: Partial<RunPlan> = {
    timings: new Map([['dumps', daily]]),
    after: ({ policy }) => (policy === 'files' ? ['dumps'] : []),
  };
  const slot = start + 2 * hour;

  it('waits until all of them have ended, runs although one failed, and says so', async () => {
    await clock.advance(slot);
    const files = (await insertDueRun(catalogue, due('files', 'files', slot)))!;
    await insertDueRun(catalogue, due('shop', 'dumps', slot));
    await insertDueRun(catalogue, due('blog', 'dumps', slot));
    begin(async ({ source }, { clock: time, signal }) => {
      await time.sleep((source === 'shop' ? 40 : 20) * minute, { signal });
      if (source === 'blog') throw new HoldfastError({ code: 'storage.denied', message: 'no', remedy: 'r' });
      return { ok: true };
    }, order);
    await clock.advance(slot + 30 * minute);
    expect((await at(files.id)).state).toBe('queued');
    expect((await at(files.id)).waits).toBe('it comes after dumps, of which 1 run has not ended');
    await clock.advance(slot + 45 * minute);
    expect((await at(files.id)).state).toBe('running');
    const [line] = await readLog(catalogue, { id: files.id, limit: 1 });
    expect(line.event).toMatchObject({ message: 'it comes after dumps, of which not all went well: blog (failed)' });
  });

  it('waits for what never ends for half a day only', async () => {
    await clock.advance(slot);
    const files = (await insertDueRun(catalogue, due('files', 'files', slot)))!;
    await insertDueRun(catalogue, due('shop', 'dumps', slot));
    begin(
      async (_run, { clock: time, signal }) => {
        await time.sleep(100 * hour, { signal });
        return { ok: true };
      },
      order,
      patient,
    );
    await clock.advance(slot + 11 * hour);
    expect((await at(files.id)).state).toBe('queued');
    await clock.advance(slot + 12 * hour + minute);
    expect((await at(files.id)).state).toBe('running');
  });
});

describe('schedules', () => {
  const hourly: Schedule = {
    key: 'backup/often/shop/',
    kind: 'backup',
    source: 'shop',
    policy: 'often',
    host: 'local',
    timing: { kind: 'interval', everyMs: hour },
    jitterMs: 0,
    catchUp: true,
    input: {},
  };

  it('make one run of each slot, and report those that a newer one has overtaken', async () => {
    begin(
      async (_run, { clock: time, signal }) => {
        await time.sleep(150 * minute, { signal });
        return { ok: true };
      },
      { schedules: [hourly] },
      patient,
    );
    await clock.advance(start + 5 * hour + minute);
    const rows = await all();
    expect(rows.map((row) => [(row.slotMs! - start) / hour, row.state])).toEqual([
      [1, 'succeeded'],
      [2, 'missed'],
      [3, 'running'],
      [4, 'missed'],
      [5, 'queued'],
    ]);
    expect(await eventsOf(rows[1].id)).toEqual(['backup.missed']);
    expect(rows[1].error).toContain('overtaken by the one that was due 2026-05-05T03:00:00.000Z');
  });

  it('tell once of a source that is overdue, and once that it is safe again', async () => {
    let isBroken = true;
    begin(
      async () => {
        if (isBroken) throw new HoldfastError({ code: 'storage.denied', message: 'no', remedy: 'r' });
        return { ok: true };
      },
      { schedules: [hourly], promised: [{ source: 'shop', policy: 'often', backupEveryMs: hour }] },
      patient,
    );
    const told = async () =>
      (
        await catalogue.db
          .selectFrom('happening')
          .select(['type', 'source'])
          .where('type', 'like', 'source.%')
          .execute()
      ).map((row) => row.type);
    await clock.advance(start + 5 * hour);
    expect(await told()).toEqual(['source.overdue']);
    isBroken = false;
    await clock.advance(start + 7 * hour);
    expect(await told()).toEqual(['source.overdue', 'source.recovered']);
  });
});

it('a scheduler that no longer leads does not look without pause', async () => {
  let looks = 0;
  const counted: Catalogue = {
    ...catalogue,
    nowMs: async () => {
      looks++;
      return clock.nowMs();
    },
  };
  const hourly: Schedule = {
    key: 'backup/often/shop/',
    kind: 'backup',
    source: 'shop',
    host: 'local',
    timing: { kind: 'interval', everyMs: hour },
    jitterMs: 0,
    catchUp: true,
    input: {},
  };
  begin(well, { schedules: [hourly] }, { catalogue: counted, capacity: 0 });
  await clock.advance(start + 10 * minute);
  await catalogue.db
    .updateTable('lease')
    .set({ holder: 'other', fence: 9, untilMs: start + 1000 * hour })
    .execute();
  await clock.advance(start + 2 * hour);
  looks = 0;
  await clock.advance(start + 3 * hour);
  expect(looks).toBeLessThan(2000);
  expect(started[0].isLeading).toBe(false);
});
