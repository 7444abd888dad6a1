/** Who is told, when, and what comes of it, on SQLite and on PostgreSQL: the same tests for both. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listDeliveries } from '../../src/notify/deliveries.ts';
import { type CataloguePlace, makePostgresPlace, makeSqlitePlace } from '../support/catalogues.ts';
import { Desk, hour, minute, planOf, refusal } from '../support/notified.ts';

const places = [
  { title: 'SQLite', make: () => makeSqlitePlace() },
  { title: 'PostgreSQL', make: () => makePostgresPlace(15) },
];

describe.each(places)('in $title', ({ make }) => {
  let place: CataloguePlace;
  beforeAll(async () => {
    place = await make();
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  const people = planOf('phone', 'people');
  const program = planOf('program', 'machines', { on: ['*'] });
  const deskOf = async (...plans: Parameters<typeof Desk.open>[1]): Promise<Desk> =>
    await Desk.open(await place.open(), plans);
  const statesOf = async (desk: Desk, channel = 'phone'): Promise<string[]> =>
    (await listDeliveries(desk.catalogue, { channel, limit: 1000 })).map(({ state }) => state);

  test('twenty sources that fail because the NAS is away are one message, and so is their return', async () => {
    const desk = await deskOf(people, program);
    for (let i = 0; i < 20; i++) {
      await desk.failsAt(`app-${i}`);
      await desk.pass(10_000);
    }
    await desk.pass(20 * minute);
    expect(desk.channels.titles('phone')).toEqual([
      '3 backups failed: app-0, app-1, app-2',
      '17 backups failed: app-3, app-4, app-5 and 14 more',
    ]);
    for (let i = 0; i < 20; i++) await desk.succeedsAt(`app-${i}`);
    await desk.pass(2 * hour);
    expect(desk.channels.titles('phone').slice(2)).toEqual(['20 backups succeeded: app-0, app-1, app-2 and 17 more']);
    expect(desk.channels.titles('program')).toHaveLength(40);
    expect(new Set(await statesOf(desk))).toEqual(new Set(['sent']));
  });

  test('a failure that repeats is told once in a while with its number, and its end with the number, too', async () => {
    const desk = await deskOf(people);
    for (let i = 0; i < 20; i++) {
      await desk.failsAt('shop');
      await desk.pass(hour);
    }
    await desk.succeedsAt('shop');
    await desk.pass(hour);
    await desk.succeedsAt('shop');
    await desk.pass(24 * hour);
    const titles = desk.channels.titles('phone').map((title) => title.replace(/ since .*\)/, ')'));
    expect(titles).toEqual([
      'The backup of shop failed',
      'The backup of shop failed (13 times)',
      'Shop was backed up (it had failed 20 times)',
    ]);
    const states = await statesOf(desk);
    expect(states.filter((state) => state === 'folded')).toHaveLength(18);
    expect(states).not.toContain('waiting');
  });

  test('a failure that is tried again wakes nobody if the next try succeeds', async () => {
    const desk = await deskOf(people, program);
    for (const source of ['shop', 'wiki'])
      await desk.failsAt(source, { facts: { retryAtMs: desk.nowMs + 5 * minute } });
    await desk.pass(6 * minute);
    await desk.succeedsAt('shop');
    await desk.failsAt('wiki', { errorCode: 'repository.damaged' });
    await desk.pass(3 * hour);
    expect(desk.channels.titles('phone').map((title) => title.replace(/ since .*\)/, ')'))).toEqual([
      'The backup of wiki failed (2 times)',
    ]);
    expect((await statesOf(desk)).toSorted((a, b) => a.localeCompare(b))).toEqual(['folded', 'folded', 'sent']);
    expect(desk.channels.titles('program')).toHaveLength(4);
  });

  test('what was before the first start is not told', async () => {
    const real = await place.open();
    const before = await Desk.open(real, []);
    await before.failsAt('shop');
    await before.catalogue.db.deleteFrom('bookmark').execute();
    const desk = await Desk.open(real, [people]);
    await desk.pass(hour);
    expect(desk.channels.sent).toEqual([]);
  });

  test('a restart goes on where it was: what waited is sent, what stood is remembered, nothing is told twice', async () => {
    const desk = await deskOf(people, program);
    await desk.failsAt('shop');
    await desk.work();
    await desk.failsAt('wiki');
    await desk.restart();
    await desk.pass(10 * minute);
    expect(desk.channels.titles('phone')).toEqual(['2 backups failed: shop, wiki']);
    await desk.restart();
    await desk.succeedsAt('shop');
    await desk.pass(10 * minute);
    expect(desk.channels.titles('phone')[1]).toMatch(/^Shop was backed up \(it had failed at /);
    await desk.restart();
    await desk.pass(24 * hour);
    expect(desk.channels.sent).toHaveLength(5);
  });

  test('a channel that fails is tried again later each time; after a while the others are told, and when it works again', async () => {
    const desk = await deskOf(people, planOf('mail', 'people', { on: ['drill.failed'] }));
    desk.channels.behave = ({ channel }) => (channel === 'phone' ? Promise.reject(refusal('later')) : undefined);
    await desk.failsAt('shop');
    const startMs = desk.nowMs;
    const attemptsAt: number[] = [];
    const { behave } = desk.channels;
    desk.channels.behave = (one, signal) => {
      if (one.channel === 'phone') attemptsAt.push((desk.nowMs - startMs - 30_000) / minute);
      return behave(one, signal);
    };
    await desk.pass(4 * hour);
    expect(attemptsAt.slice(0, 8)).toEqual([0, 0.5, 1.5, 3.5, 8.5, 18.5, 38.5, 78.5]);
    expect(desk.channels.titles('mail')).toEqual(['Notifications do not get through the channel phone']);
    await desk.failsAt('wiki');
    desk.channels.behave = () => undefined;
    await desk.pass(2 * hour);
    expect(desk.channels.titles('phone')).toEqual(['2 backups failed: shop, wiki']);
    expect(desk.channels.titles('mail')[1]).toMatch(
      /^Notifications get through the channel phone again \(it had failed at /,
    );
    expect(desk.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  test('the other side may say how long it is to be left alone', async () => {
    const desk = await deskOf(people);
    const attemptsAt: number[] = [];
    const startMs = desk.nowMs;
    desk.channels.behave = () => {
      attemptsAt.push(desk.nowMs - startMs);
      return attemptsAt.length < 3 ? Promise.reject(refusal('later', 7 * minute)) : undefined;
    };
    await desk.failsAt('shop');
    await desk.pass(3 * minute);
    await desk.failsAt('wiki');
    await desk.restart();
    await desk.pass(30 * minute);
    expect(attemptsAt).toEqual([30_000, 7.5 * minute, 14.5 * minute]);
    expect(desk.channels.titles('phone')).toEqual(['2 backups failed: shop, wiki']);
  });

  test('a refusal for good is told elsewhere at once; what could not be delivered for a day is given up, with a line each', async () => {
    const desk = await deskOf(people, planOf('mail', 'people'));
    desk.channels.behave = ({ channel }) => (channel === 'phone' ? Promise.reject(refusal('never')) : undefined);
    await desk.failsAt('shop');
    await desk.pass(10 * minute);
    expect(desk.channels.titles('mail')).toEqual([
      'The backup of shop failed',
      'Notifications do not get through the channel phone',
    ]);
    await desk.pass(26 * hour);
    expect(await statesOf(desk)).toEqual(['failed']);
    const [delivery] = await listDeliveries(desk.catalogue, { channel: 'phone', limit: 1 });
    expect(delivery.lastError).toBe('it says no (Ask it.)');
    expect(desk.log.lines.filter(({ text }) => text === 'a notification was given up')).toHaveLength(1);
    expect(desk.channels.titles('mail')).toHaveLength(2);
  });

  test('two channels that are both broken do not keep telling each other', async () => {
    const desk = await deskOf(people, planOf('mail', 'people'));
    desk.channels.behave = () => Promise.reject(refusal('never'));
    await desk.failsAt('shop');
    await desk.pass(30 * hour);
    const { count } = await desk.catalogue.db
      .selectFrom('happening')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    expect(Number(count)).toBe(3);
    expect(desk.channels.attempts.length).toBeLessThan(200);
  });

  test('an event that the other side cannot take keeps no other one back', async () => {
    const desk = await deskOf(people, program);
    desk.channels.behave = ({ message }) =>
      message.items.some(({ event }) => event.source === 'strange') ? Promise.reject(refusal('never')) : undefined;
    await desk.failsAt('strange');
    await desk.failsAt('shop');
    await desk.pass(hour);
    const told = (channel: string): (string | undefined)[] =>
      desk.channels.sent
        .filter((one) => one.channel === channel)
        .flatMap(({ message }) => message.items.map(({ event }) => event.source));
    for (const channel of ['phone', 'program']) expect(told(channel)).toContain('shop');
    await desk.failsAt('wiki');
    await desk.pass(10 * minute);
    for (const channel of ['phone', 'program']) expect(told(channel)).toContain('wiki');
    await desk.pass(30 * hour);
    expect(await statesOf(desk)).not.toContain('waiting');
    expect(desk.channels.sent.length).toBeLessThan(15);
  });

  test('programs get every event, by itself, once, with its id', async () => {
    const desk = await deskOf(program);
    let tries = 0;
    desk.channels.behave = () => (tries++ % 3 === 0 ? Promise.reject(refusal('later')) : undefined);
    for (let i = 0; i < 30; i++) await desk.failsAt(i % 2 === 0 ? 'shop' : 'wiki');
    await desk.pass(12 * hour);
    const ids = desk.channels.sent.map(({ message }) => message.id);
    const { rows } = {
      rows: await desk.catalogue.db
        .selectFrom('happening')
        .select('id')
        .where('type', '=', 'backup.failed')
        .orderBy('id')
        .execute(),
    };
    expect(ids.filter((id) => rows.some((row) => row.id === id))).toEqual(rows.map(({ id }) => id));
    expect(desk.channels.sent.every(({ message }) => message.items.length === 1)).toBe(true);
  });

  test('an event that another server decided on is left alone', async () => {
    const desk = await deskOf(program);
    const other = await Desk.open(desk.catalogue, [program]);
    await desk.failsAt('shop');
    await desk.work();
    await other.work();
    await desk.work();
    expect(desk.channels.sent).toHaveLength(1);
    expect(other.channels.sent).toEqual([]);
  });

  test('a check for several sources is told how many of them are still failed', async () => {
    const desk = await deskOf(planOf('check', 'checks', { on: ['backup.*'] }));
    await desk.failsAt('shop');
    await desk.failsAt('wiki');
    await desk.succeedsAt('shop');
    await desk.work();
    await desk.succeedsAt('wiki');
    await desk.work();
    expect(desk.channels.sent.map(({ message }) => message.standing)).toEqual([1, 0, 1, 0]);
  });
});
