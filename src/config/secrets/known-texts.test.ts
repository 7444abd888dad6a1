import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cleanText } from './clean-text.ts';
import { knownTexts } from './known-texts.ts';

it.each([
  ['abcabc', ['abc'], '**'],
  ['xabcdefghix', ['abcdef', 'defghi'], 'x*x'],
  ['abcdef', ['abc', 'abcdef'], '*'],
  ['xabcdefgx', ['abcdefg', 'cd'], 'x*x'],
  ['aaaaa', ['aa'], '*'],
  ['abd', ['abc', ''], 'abd'],
  ['', ['abc'], ''],
])('takes %j without %j as %j', (text, texts, clean) => {
  expect(knownTexts(texts).remove(text, '*')).toBe(clean);
  expect(knownTexts(texts).isIn(text)).toBe(clean !== text);
});

it('leaves nothing of any, and everything else', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  const property = fc.property(
    fc.array(word),
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd') }),
    (words, text) => {
      const covered = [...text].map(() => false);
      for (const one of words)
        for (let at = text.indexOf(one); at >= 0; at = text.indexOf(one, at + 1))
          covered.fill(true, at, at + one.length);
      const known = knownTexts(words);
      expect(known.remove(text, '*').replaceAll('*', '')).toBe([...text].filter((_, i) => !covered[i]).join(''));
      expect(known.isIn(text)).toBe(covered.includes(true));
    },
  );
  fc.assert(property, { numRuns: 300 });
});

it('thousands of secrets are looked at once, not for every text they are taken out of', () => {
  let looks = 0;
  class Counted extends Array<string> {
    override [Symbol.iterator](): ArrayIterator<string> {
      looks++;
      return super[Symbol.iterator]();
    }
  }
  const secrets = Counted.from({ length: 5000 }, (_, i) => `tok-live-${i}-${i * 7919}`);
  looks = 0;
  for (let i = 0; i < 5000; i++) {
    expect(cleanText(`a ${secrets[i]} and "it's" ${encodeURIComponent('x y')}`, secrets)).toBe(
      `a *** and "it's" x%20y`,
    );
  }
  expect(looks).toBe(1);
});
