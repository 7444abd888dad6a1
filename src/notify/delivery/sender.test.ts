import { afterEach, beforeEach, expect, test } from 'vitest';
import { Desk, hour, minute, planOf, refusal } from '../../../test/support/notified.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { listDeliveries } from '../deliveries.ts';

let catalogue: Catalogue;
beforeEach(async () => {
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, Date.now);
});
afterEach(async () => await catalogue[Symbol.asyncDispose]());

const phone = planOf('phone', 'people');
const stateOf = async (desk: Desk): Promise<unknown> => {
  const [{ state, attempts }] = await listDeliveries(desk.catalogue, { channel: 'phone', limit: 1 });
  return { state, attempts };
};

test('a machine that was off for two days tells what it had to tell', async () => {
  const desk = await Desk.open(catalogue, [phone]);
  await desk.failsAt('shop');
  await desk.work();
  desk.sleeps(48 * hour);
  // The network is up a quarter of an hour after the machine.
  const upAtMs = desk.nowMs + 15 * minute;
  desk.channels.behave = () => (desk.nowMs < upAtMs ? Promise.reject(refusal('later')) : undefined);
  await desk.pass(hour);
  expect(desk.channels.titles('phone')).toEqual(['The backup of shop failed']);
  expect(desk.log.lines.filter(({ text }) => text === 'a notification was given up')).toEqual([]);
});

test('what is a day old is given up at the sixth try that fails', async () => {
  const desk = await Desk.open(catalogue, [phone]);
  await desk.failsAt('shop');
  await desk.work();
  desk.sleeps(48 * hour);
  desk.channels.behave = () => Promise.reject(refusal('later'));
  await desk.pass(hour);
  expect(await stateOf(desk)).toEqual({ state: 'failed', attempts: 6 });
  expect(desk.channels.attempts).toHaveLength(6);
});
