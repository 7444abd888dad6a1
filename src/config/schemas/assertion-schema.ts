/** `drill.assert:` of a source: what must be true of a restored copy. */
import { z } from 'zod';
import type { Assertion, Expectation } from '../../model/assertion.ts';
import { durationText } from './duration-schema.ts';

const defaultMs = 60_000;
const text = z.string().min(1);

const pattern = z.string().superRefine((source, ctx) => {
  try {
    new RegExp(source, 'u');
  } catch {
    ctx.addIssue({ code: 'custom', message: 'is not a regular expression' });
  }
});

const expectations = {
  equals: z
    .union([z.string(), z.number().transform(String)])
    .optional()
    .describe('a text'),
  atLeast: z.number().optional(),
  atMost: z.number().optional(),
  matches: pattern.optional().describe('a regular expression'),
};
type Expected = { readonly [Key in keyof typeof expectations]?: z.infer<(typeof expectations)[Key]> };
const others = { timeout: durationText.optional(), ...expectations };

const query = z
  .strictObject({ sql: text.optional(), query: text.optional(), ...others })
  .superRefine(oneExpectation(1))
  .transform(({ sql, query: asked, timeout, ...rest }, ctx): Assertion => {
    const statement = asked ?? sql;
    if (statement === undefined || (asked !== undefined && sql !== undefined)) {
      ctx.addIssue({ code: 'custom', message: 'needs one of sql, query, command and http' });
    }
    return { query: statement ?? '', expect: expectationOf(rest) ?? { equals: '' }, timeoutMs: timeout ?? defaultMs };
  });

const command = z
  .strictObject({
    command: z.array(z.string()).min(1).describe('a program and its arguments, a list'),
    status: z.int().min(0).max(255).default(0),
    ...others,
  })
  .superRefine(oneExpectation(0))
  .transform(({ command: argv, status, timeout, ...rest }): Assertion => {
    return { command: argv, status, timeoutMs: timeout ?? defaultMs, expect: expectationOf(rest) };
  });

const http = z
  .strictObject({
    http: z
      .strictObject({ url: text, status: z.int().min(100).max(599).default(200), ...others })
      .superRefine(oneExpectation(0)),
  })
  .transform(({ http: { url, status, timeout, ...rest } }): Assertion => {
    return { http: url, status, timeoutMs: timeout ?? defaultMs, expect: expectationOf(rest) };
  });

export const assertions = z
  .array(z.union([command, http, query]))
  .describe('a list like [{ sql: "select count(*) from orders", atLeast: 1 }]');

function expectationOf({ equals, atLeast, atMost, matches }: Expected): Expectation | undefined {
  if (equals !== undefined) return { equals };
  if (atLeast !== undefined) return { atLeast };
  if (atMost !== undefined) return { atMost };
  return matches === undefined ? undefined : { matches };
}

function oneExpectation(least: number) {
  return (given: Expected, ctx: z.RefinementCtx): void => {
    const count = Object.keys(expectations).filter((key) => given[key as keyof Expected] !== undefined).length;
    if (count > 1) ctx.addIssue({ code: 'custom', message: 'has more than one of equals, atLeast, atMost, matches' });
    if (count < least) ctx.addIssue({ code: 'custom', message: 'needs one of equals, atLeast, atMost, matches' });
  };
}
