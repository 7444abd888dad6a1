/** The notifier at work: nothing waits for it, several servers share the work, and a restart goes on where it was. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { recordHappening } from '../../src/catalogue/happenings.ts';
import { acquireLease } from '../../src/catalogue/leases.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';
import { claimRun, finishRun, insertRun } from '../../src/catalogue/runs.ts';
import { type NotifierParts, runNotifier } from '../../src/notify/notifier.ts';
import type { ChannelPlan } from '../../src/notify/route.ts';
import { type CataloguePlace, makePostgresPlace, makeSqlitePlace } from '../support/catalogues.ts';
import { keptLog, planOf, TrialChannels } from '../support/notified.ts';

/** Waits are short; what the time is comes from the catalogue. */
const quick: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms / 50, 200), options) };
const patience = { timeout: 30_000, interval: 20 };

class Running implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly done: Promise<void>;

  constructor(
    catalogue: Catalogue,
    channels: TrialChannels,
    plans: () => ChannelPlan[],
    more: Partial<NotifierParts> = {},
  ) {
    const parts: NotifierParts = {
      catalogue,
      clock: quick,
      log: keptLog().log,
      kinds: channels.kinds,
      secret: () => Promise.reject(new Error('there are no secrets')),
      env: {},
      plans,
      workspacesOf: () => [],
      ...more,
    };
    this.done = runNotifier(parts, this.#controller.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.done;
  }
}

const program = planOf('program', 'machines', { on: ['*'] });
const failed = (source: string) =>
  ({ type: 'backup.failed', title: `the backup of ${source} failed`, source }) as const;

describe.each([
  { title: 'SQLite', make: () => makeSqlitePlace() },
  { title: 'PostgreSQL', make: () => makePostgresPlace(15) },
])('on $title', ({ make }) => {
  let place: CataloguePlace;
  beforeAll(async () => {
    place = await make();
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  test('a channel that hangs delays neither a run nor another channel', async () => {
    const catalogue = await place.open();
    const channels = new TrialChannels();
    let hanging = 0;
    channels.behave = ({ channel }, signal) => {
      if (channel !== 'hanging') return;
      hanging++;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('left'))));
    };
    const plans = [planOf('hanging', 'machines', { on: ['*'] }), program];
    await using _ = new Running(catalogue, channels, () => plans, { clock: { ...quick, sleep: patientFor(90_000) } });
    await vi.waitFor(async () => expect(await bookmarkOf(catalogue)).toBeDefined(), patience);
    for (let i = 0; i < 5; i++) {
      const { id } = await insertRun(catalogue, {
        kind: 'backup',
        source: `s${i}`,
        host: 'local',
        trigger: 'manual',
        askedBy: 'anna',
      });
      const claimed = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
      const outcome = { state: 'succeeded' } as const;
      const events = [{ type: 'backup.succeeded', title: `s${i} was backed up`, source: `s${i}` }] as const;
      await finishRun(catalogue, { id, fence: claimed.fence, outcome, events });
      await vi.waitFor(
        () => expect(channels.sent.filter(({ channel }) => channel === 'program')).toHaveLength(i + 1),
        patience,
      );
    }
    expect(hanging).toBe(1);
    expect(channels.sent.every(({ channel }) => channel === 'program')).toBe(true);
  });

  test('what was being sent when it ended is sent again, with the same id; nothing is lost', async () => {
    const catalogue = await place.open();
    const first = new TrialChannels();
    first.behave = (_, signal) =>
      first.attempts.length < 4
        ? undefined
        : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('left'))));
    const second = new TrialChannels();
    {
      await using _ = new Running(catalogue, first, () => [program]);
      await vi.waitFor(async () => expect(await bookmarkOf(catalogue)).toBeDefined(), patience);
      for (let i = 0; i < 8; i++) await recordHappening(catalogue, failed(`s${i}`));
      await vi.waitFor(() => expect(first.attempts).toHaveLength(4), patience);
    }
    await recordHappening(catalogue, failed('s8'));
    await using _ = new Running(catalogue, second, () => [program]);
    await vi.waitFor(() => expect(second.sent).toHaveLength(6), patience);
    expect([...first.sent, ...second.sent].map(({ message }) => message.items[0].event.source)).toEqual(
      Array.from({ length: 9 }, (_v, i) => `s${i}`),
    );
    expect(second.sent[0].message.id).toBe(first.attempts[3].message.id);
  });

  test('channels come and go with the configuration', async () => {
    const catalogue = await place.open();
    const channels = new TrialChannels();
    let plans: ChannelPlan[] = [];
    await using _ = new Running(catalogue, channels, () => plans);
    await vi.waitFor(async () => expect(await bookmarkOf(catalogue)).toBeDefined(), patience);
    await recordHappening(catalogue, failed('before'));
    await vi.waitFor(async () => expect(await bookmarkOf(catalogue)).toMatch(/^0/), patience);
    plans = [program];
    await recordHappening(catalogue, failed('during'));
    await vi.waitFor(() => expect(channels.titles('program')).toEqual(['The backup of during failed']), patience);
    plans = [];
    const last = await recordHappening(catalogue, failed('after'));
    await vi.waitFor(async () => expect(await bookmarkOf(catalogue)).toBe(last.id), patience);
    expect(channels.sent).toHaveLength(1);
  });

  test('a check is told which runs began, and that Holdfast is alive', async () => {
    const catalogue = await place.open();
    const channels = new TrialChannels();
    const plans = [planOf('check', 'checks', { on: ['backup.*'], sources: ['shop'] })];
    const ids: string[] = [];
    for (const source of ['shop', 'wiki']) {
      const { id } = await insertRun(catalogue, {
        kind: 'backup',
        source,
        host: 'local',
        trigger: 'manual',
        askedBy: 'anna',
      });
      await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 });
      ids.push(id);
    }
    await using _ = new Running(catalogue, channels, () => plans);
    await vi.waitFor(() => expect(channels.begun.map(({ id }) => id)).toEqual([ids[0]]), patience);
    await vi.waitFor(() => expect(channels.beats).toBe(1), patience);
  });

  test('when a server died, another one takes over after its lease', async () => {
    const catalogue = await place.open();
    const channels = new TrialChannels();
    await catalogue.db.insertInto('bookmark').values({ name: 'notifications', position: '' }).execute();
    await acquireLease(catalogue, { name: 'notifications', holder: 'a server that died', leaseMs: 3_600_000 });
    await using _ = new Running(catalogue, channels, () => [program]);
    await recordHappening(catalogue, failed('shop'));
    await systemClock.sleep(500);
    expect(channels.attempts).toEqual([]);
    await catalogue.db.updateTable('lease').set({ untilMs: 0 }).execute();
    await vi.waitFor(() => expect(channels.titles('program')).toEqual(['The backup of shop failed']), patience);
  });

  test('while the catalogue is away nothing is lost and nothing ends', async () => {
    const catalogue = await place.open();
    const channels = new TrialChannels();
    const { log, lines } = keptLog();
    let isAway = false;
    const flaky: Catalogue = {
      ...catalogue,
      nowMs: () => (isAway ? Promise.reject(new Error('the catalogue is away')) : catalogue.nowMs()),
      [Symbol.asyncDispose]: async () => undefined,
    };
    await using _ = new Running(flaky, channels, () => [program], { log });
    await vi.waitFor(async () => expect(await bookmarkOf(catalogue)).toBeDefined(), patience);
    isAway = true;
    await recordHappening(catalogue, failed('shop'));
    await vi.waitFor(() => expect(lines.some(({ text }) => text === 'notifications pause')).toBe(true), patience);
    isAway = false;
    await vi.waitFor(() => expect(channels.titles('program')).toEqual(['The backup of shop failed']), patience);
  });
});

describe('three servers on one PostgreSQL', () => {
  test('send each event once, also while they end at random', async () => {
    await using place = await makePostgresPlace(15);
    const address = await place.address();
    const writer = await place.open(address);
    const all = new TrialChannels();
    const start = async (): Promise<Running> => new Running(await place.open(address), all, () => [program]);
    const servers = [await start(), await start(), await start()];
    await vi.waitFor(async () => expect(await bookmarkOf(writer)).toBeDefined(), patience);
    const count = Number(process.env.NOTIFICATIONS ?? 60);
    for (let i = 0; i < count; i++) {
      await recordHappening(writer, failed(`s${i}`));
      if (i % 20 !== 19) continue;
      await vi.waitFor(() => expect(all.sent.length).toBeGreaterThan(i - 10), patience);
      // One of them ends, whichever is at work, and another begins.
      await servers.shift()![Symbol.asyncDispose]();
      servers.push(await start());
    }
    await vi.waitFor(() => expect(new Set(all.sent.map(({ message }) => message.id)).size).toBe(count), patience);
    for (const one of servers) await one[Symbol.asyncDispose]();
    expect(all.titles('program')).toEqual(Array.from({ length: count }, (_, i) => `The backup of s${i} failed`));
  });
});

async function bookmarkOf({ db }: Catalogue): Promise<string | undefined> {
  return (await db.selectFrom('bookmark').select('position').where('name', '=', 'notifications').executeTakeFirst())
    ?.position;
}

/** Waits of that length last; others are short. */
function patientFor(lasting: number): Clock['sleep'] {
  return (ms, options) =>
    ms === lasting ? systemClock.sleep(ms, { ...options, background: true }) : quick.sleep(ms, options);
}
