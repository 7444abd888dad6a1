/** Fields that several sections have. */
import { z } from 'zod';
import { parseCron } from '../../policy/cron.ts';
import { parseSpan, unlimited } from '../../policy/retention.ts';
import type { ListenAddress } from '../platform-config.ts';
import { durationText } from './duration-schema.ts';
import { isTimeZone } from './time-zone.ts';

export const name = z.string().min(1);

/** One name or a list of them. */
export const names = z.union([name.transform((one) => [one]), z.array(name).min(1)]);

const count = z
  .union([z.int().min(unlimited), z.literal(['all', 'unlimited']).transform(() => unlimited)], {
    error: 'is not a count of snapshots',
  })
  .describe('a whole number; -1 or all = every one');

export const cron = z
  .string()
  .describe('five fields of cron: minute hour day month weekday')
  .superRefine((text, ctx) => {
    const parsed = parseCron(text);
    if (typeof parsed === 'string') ctx.addIssue({ code: 'custom', message: `is not a schedule: ${parsed}` });
  });

const leastEveryMs = 60_000;

export const every = durationText
  .refine((ms) => ms >= leastEveryMs, { error: 'is less than a minute' })
  .describe('a time like 6h between two of them');

const keepRules = z.strictObject({
  last: count.optional(),
  hourly: count.optional(),
  daily: count.optional(),
  weekly: count.optional(),
  monthly: count.optional(),
  yearly: count.optional(),
  within: z
    .string()
    .describe('a span like 7d, 12h or 1y5m7d2h (years, months, days, hours)')
    .refine((text) => parseSpan(text) !== undefined, { error: 'is not a span of time' })
    .optional(),
});

export const keep = keepRules
  .describe('counts per period, like { last: 3, daily: 7 }')
  .refine((rules) => Object.values(rules).some((rule) => rule !== undefined && rule !== 0), {
    error: 'keeps nothing: no rule has a count',
  });

export const timezone = z
  .string()
  .describe('a name like Europe/Madrid, or UTC')
  .refine(isTimeZone, { error: 'is not a time zone' });

export const workspace = name.describe('one of workspaces; without it: default');

/** `127.0.0.1:8321`, `[::1]:8321`, `:8321` (every address). */
export const listenAddress = z
  .string()
  .describe('an address and a port, like 127.0.0.1:8321 or [::]:8321')
  .transform((text, ctx): ListenAddress => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    if (!match || port > 65_535) {
      ctx.addIssue({ code: 'custom', message: 'is not an address with a port' });
      return { host: '', port: 0 };
    }
    return { host: match[1] ?? (match[2] === '' ? '0.0.0.0' : match[2]), port };
  });
