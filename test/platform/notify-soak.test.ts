/** Weeks of failures, recoveries, broken channels and restarts at random; what people know in the end is what is. DAYS makes it longer. */
import { expect, test } from 'vitest';
import { listDeliveries } from '../../src/notify/deliveries.ts';
import { makeSqlitePlace } from '../support/catalogues.ts';
import { Desk, hour, minute, planOf, refusal } from '../support/notified.ts';

const days = Number(process.env.DAYS ?? 6);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Park and Miller's generator: the same numbers for the same seed. */
function numbers(start: number): (below: number) => number {
  let state = (start % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

test(`what people were told is what is, and programs got everything once (SEED=${seed} DAYS=${days})`, async () => {
  const next = numbers(seed);
  await using place = await makeSqlitePlace();
  const desk = await Desk.open(await place.open(), [
    planOf('phone', 'people'),
    planOf('program', 'machines', { on: ['*'] }),
  ]);
  const sources = Array.from({ length: 12 }, (_, i) => `app-${i}`);
  const isFailing = new Map(sources.map((source) => [source, false]));
  const down = new Map<string, number>();
  const sentAtMs: number[] = [];
  desk.channels.behave = ({ channel }) => {
    if (desk.nowMs < (down.get(channel) ?? 0)) {
      // What is refused for good is tried in halves, which is more than one message at a time.
      return Promise.reject(refusal(channel === 'program' && next(4) === 0 ? 'never' : 'later'));
    }
    if (channel === 'phone') sentAtMs.push(desk.nowMs);
    return undefined;
  };
  const backUp = async (source: string): Promise<void> => {
    const turns = next(5) === 0;
    isFailing.set(source, turns !== isFailing.get(source));
    if (!isFailing.get(source)) return await desk.succeedsAt(source);
    const facts: Record<string, number> = next(3) === 0 ? { retryAtMs: desk.nowMs + 10 * minute } : {};
    await desk.failsAt(source, { errorCode: ['storage.unreachable', 'storage.full'][next(2)], facts });
  };

  const endMs = desk.nowMs + days * 24 * hour;
  while (desk.nowMs < endMs) {
    await backUp(sources[next(sources.length)]);
    const channel = ['phone', 'program'][next(2)];
    // Longer than a day, and something would be given up.
    const isFresh = desk.nowMs > (down.get(channel) ?? 0) + 6 * hour;
    if (next(20) === 0 && isFresh) down.set(channel, desk.nowMs + next(18 * hour));
    if (next(20) === 0) await desk.restart();
    await desk.pass(next(90) * minute);
  }
  await desk.pass(40 * hour);

  const deliveries = [];
  for (const channel of ['phone', 'program']) {
    for (const state of ['waiting', 'failed', 'sent', 'folded'] as const) {
      const found = await listDeliveries(desk.catalogue, { channel, state, limit: 100_000 });
      deliveries.push(...found.map(({ telling }) => ({ channel, state, event: telling.event })));
    }
  }
  expect(deliveries.filter(({ state }) => state === 'waiting' || state === 'failed')).toEqual([]);
  const happened = await desk.catalogue.db
    .selectFrom('happening')
    .select(['id', 'type', 'facts'])
    .orderBy('id')
    .execute();
  // Through a channel that is broken nobody is told that it is.
  const due = happened.filter(({ type, facts }) => type !== 'channel.failed' || !facts.includes('"program"'));
  const got = desk.channels.sent.filter(({ channel }) => channel === 'program').map(({ message }) => message.id);
  expect(got.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(due.map(({ id }) => id));
  const told = desk.channels.sent.filter(({ channel }) => channel === 'phone').flatMap(({ message }) => message.items);
  for (const source of sources) {
    const last = told
      .filter(({ event }) => event.source === source)
      .sort((a, b) => (a.event.id < b.event.id ? -1 : 1))
      .at(-1);
    expect({ source, isFailing: last !== undefined && last.mood === 'bad' }).toEqual({
      source,
      isFailing: isFailing.get(source),
    });
  }
  for (const [at, ms] of sentAtMs.slice(1).entries()) expect(ms - sentAtMs[at]).toBeGreaterThanOrEqual(5 * minute);
});
