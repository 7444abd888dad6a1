import { expect, test } from 'vitest';
import { besidePath } from './labelled-objects.ts';
import { parseRestUrl } from './location.ts';

test('URLs are those restic has; what is shown has no password', () => {
  const place = parseRestUrl('rest:https://me:ge%3Aheim@backup.example:8000/shop');
  expect(place).toMatchObject({ protocol: 'https:', host: 'backup.example:8000', path: '/shop/', user: 'me' });
  expect(place.password?.reveal()).toBe('ge:heim');
  expect(place.shown).toBe('rest:https://backup.example:8000/shop/');
  expect(parseRestUrl('rest:http://nas').path).toBe('/');
});

test('what is no URL of a REST server is refused, without showing it', () => {
  for (const url of ['rest:', 'rest:nas/x', 'rest:ftp://nas/', 'rest:http://me:geheim@nas/?x=1']) {
    expect(() => parseRestUrl(url), url).toThrow(/begins with rest:/);
    expect(() => parseRestUrl(url), url).not.toThrow(/geheim/);
  }
});

test('what is not restic’s lies beside, never deeper than its server allows', () => {
  expect(besidePath('/')).toBe('/holdfast/');
  expect(besidePath('/me/')).toBe('/me/holdfast/');
  expect(besidePath('/me/shop/')).toBe('/me/shop-holdfast/');
});
