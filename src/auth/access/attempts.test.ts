import { describe, expect, test } from 'vitest';
import { networkOf } from './attempts.ts';
import { canonicalCode, hashOf, newSecretText, newTypedCode } from './random-text.ts';

describe('addresses', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0db8:0000:0000::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('what is made at random', () => {
  test('has the length and letters it should, and is never the same', () => {
    const made = new Set(Array.from({ length: 500 }, newSecretText));
    expect(made.size).toBe(500);
    for (const one of made) expect(one).toMatch(/^[0-9A-Za-z]{43}$/);
    // Every letter comes up: 21,500 of them, each about 347 times.
    const counts = Map.groupBy([...made].join(''), (letter) => letter);
    expect(counts.size).toBe(62);
    for (const found of counts.values()) expect(found.length).toBeGreaterThan(200);
  });

  test('a typed code is the same however it is typed', () => {
    const code = newTypedCode(4).reveal();
    expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$/);
    const sloppy = code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
    expect(canonicalCode(sloppy)).toBe(canonicalCode(code));
    expect(hashOf('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});
