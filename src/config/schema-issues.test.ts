import { expect, it } from 'vitest';
import { z } from 'zod';
import { findingsOf } from './schema-issues.ts';

function messageOf(schema: z.ZodType, value: unknown): string {
  const { error } = schema.safeParse(value);
  return findingsOf(error?.issues ?? [], schema, ['x'], value)[0].message;
}

it('a wrong form is told as a sentence, whether the schema says what it must be or what is wrong', () => {
  expect(messageOf(z.string().regex(/^h/, { error: 'is not like https://host' }), 'x')).toBe(
    'is not like https://host',
  );
  expect(messageOf(z.email({ error: 'an address' }), 'x')).toBe('must be an address');
  expect(messageOf(z.string().regex(/^h/), 'x')).toBe('has the wrong form');
});
