import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { holdsPassword } from './start-run.ts';

test.each([
  ['postgres://user:geheim@db/shop', true],
  ['mongodb://db/?x=1&authPassword=geheim', true],
  ['redis://:geheim@db', true],
  ['postgres://user@db:5432/shop', false],
  ['mysql://db:3306/a@b', false],
  ['/srv/restored?password=x', false],
  ['*.log', false],
])('whether %s holds a password: %s', (text, expected) => {
  expect(holdsPassword(text)).toBe(expected);
});

test.each([':', '?', '?a', '@', 'a'])('no text of many %j keeps a server from its other work', (part) => {
  const look = (): boolean => holdsPassword(`a://${part.repeat(500_000)}`);
  expect(runInNewContext('look()', { look }, { timeout: 5000 })).toBe(false);
});
