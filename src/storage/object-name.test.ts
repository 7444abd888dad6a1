import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkObjectName, isObjectName } from './object-name.ts';

test.each(['config', 'data/ab/abcdef', 'holdfast/pins/0', 'a-b_c.d/E', '-/_', `${'x'.repeat(255)}/y`])(
  '%s is a name',
  (name) => expect(isObjectName(name)).toBe(true),
);

test.each([
  '',
  '.',
  '..',
  '/',
  'a/',
  '/a',
  'a//b',
  'a/./b',
  'a/../b',
  '.nfs01',
  'a b',
  'a~b',
  'é',
  'a\n',
  'x'.repeat(256),
])('%j is none, and is refused as a fault of the program', (name) => {
  expect(isObjectName(name)).toBe(false);
  expect(() => checkObjectName(name)).toThrowError(expect.objectContaining({ code: 'internal' }));
});

test('no accepted name leads out of its folder', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('.', '/', 'a', '~', '\0', '-', '\\') }), (name) => {
      if (isObjectName(name)) expect(new URL(`file:///root/${name}`).pathname).toBe(`/root/${name}`);
    }),
  );
});
