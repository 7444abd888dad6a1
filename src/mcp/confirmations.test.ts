import { expect, it } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { Confirmations, confirmationLifeMs } from './confirmations.ts';

let nowMs = 0;
const clock = { ...systemClock, nowMs: () => nowMs };
const intent = { principal: 'anna', tool: 'restore', input: { source: 'shop', to: '/x', include: ['a', 'b'] } };

it('lets exactly what was agreed to through, once, in whatever order it is written', () => {
  const confirmations = new Confirmations(clock);
  const { token } = confirmations.issue(intent);
  const same = { ...intent, input: { to: '/x', include: ['a', 'b'], source: 'shop', repository: undefined } };
  expect(() => confirmations.redeem(token, same)).not.toThrow();
  expect(() => confirmations.redeem(token, same)).toThrow('used already');
});

it.each([
  { ...intent, principal: 'eve' },
  { ...intent, tool: 'start_backup' },
  { ...intent, input: { ...intent.input, to: '/y' } },
  { ...intent, input: { ...intent.input, include: ['b', 'a'] } },
  { ...intent, input: { ...intent.input, overwrite: true } },
])('lets nothing else through, and is used up by trying: %j', (other) => {
  const confirmations = new Confirmations(clock);
  const { token } = confirmations.issue(intent);
  expect(() => confirmations.redeem(token, other)).toThrow('something else');
  expect(() => confirmations.redeem(token, intent)).toThrow('used already');
});

it('is too old after five minutes', () => {
  nowMs = 0;
  const confirmations = new Confirmations(clock);
  const [early, late] = [confirmations.issue(intent).token, confirmations.issue(intent).token];
  nowMs = confirmationLifeMs - 1;
  expect(() => confirmations.redeem(early, intent)).not.toThrow();
  nowMs = confirmationLifeMs;
  expect(() => confirmations.redeem(late, intent)).toThrow('too old');
});

it('keeps a bounded number of them', () => {
  nowMs = 0;
  const confirmations = new Confirmations(clock);
  const { token } = confirmations.issue(intent);
  for (let i = 0; i < 1000; i++) confirmations.issue(intent);
  expect(() => confirmations.redeem(token, intent)).toThrow('not known');
});
