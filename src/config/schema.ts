/** The shape of `holdfast.yaml`, section by section. References between sections are checked in `references.ts`. */
import { z } from 'zod';
import { parseCron } from '../policy/cron.ts';
import { parseSpan, unlimited } from '../policy/retention.ts';
import { assertions } from './assertion-schema.ts';
import { durationText } from './duration-schema.ts';
import { limitsSection } from './limits-schema.ts';
import { isTimeZone } from './time-zone.ts';
import { windowSection } from './window-schema.ts';

const count = z
  .union([z.int().min(unlimited), z.literal(['all', 'unlimited']).transform(() => unlimited)], {
    error: 'is not a count of snapshots',
  })
  .describe('a whole number; -1 or all = every one');

const cron = z
  .string()
  .describe('five fields of cron: minute hour day month weekday')
  .superRefine((text, ctx) => {
    const parsed = parseCron(text);
    if (typeof parsed === 'string') ctx.addIssue({ code: 'custom', message: `is not a schedule: ${parsed}` });
  });

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

const name = z.string().min(1);

export const repositorySection = z.strictObject({
  url: name.describe('a directory like /mnt/nas/holdfast, or the URL of a storage'),
  password: z.unknown().describe('{ file: /path }, { env: NAME } or { command: [program, argument] }'),
  keep: keep.optional(),
  mayBeAway: durationText
    .optional()
    .describe(
      'how old its newest snapshot may become while it is not there, like 14d: for a disk that is not always connected',
    ),
  check: z
    .strictObject({
      schedule: cron.optional(),
      readAllWithin: durationText.optional().describe('how long it may take until all data was read once, like 30d'),
    })
    .optional()
    .describe('{ schedule: "0 4 * * *", readAllWithin: 30d }'),
  limits: limitsSection.optional().describe('{ upload: 2MiB/s, download: 10MiB/s, concurrency: 4 }'),
});

export const policySection = z.strictObject({
  schedule: cron.optional(),
  timezone: z
    .string()
    .describe('a name like Europe/Madrid, or UTC')
    .refine(isTimeZone, { error: 'is not a time zone' })
    .optional(),
  jitter: durationText.optional(),
  repositories: z
    .array(
      z.union([
        name.transform((repository) => ({ name: repository, keep: undefined })),
        z.strictObject({ name, keep: keep.optional() }),
      ]),
    )
    .min(1)
    .describe('a list like [{ name: nas, keep: { daily: 7 } }]'),
  drill: z
    .strictObject({ schedule: cron.optional(), snapshot: z.enum(['latest', 'random']).default('latest') })
    .optional(),
});

/** What every source has beside its driver's settings. */
export const sourceSection = z.strictObject({
  driver: name.describe('the kind of source'),
  host: name.default('local').describe('one of hosts; local is this machine'),
  policy: name.optional().describe('one of policies'),
  repository: z
    .union([name.transform((one) => [one]), z.array(name).min(1)])
    .optional()
    .describe('one of repositories, or a list of them'),
  window: windowSection
    .optional()
    .describe('what is stopped while it is captured: { before: [{ stop: { container: NAME } }] }'),
  drill: z
    .strictObject({ assert: assertions })
    .optional()
    .describe('what must be true of a restored copy: { assert: [{ sql: …, atLeast: 1 }] }'),
});

export const sectionNames = ['repositories', 'hosts', 'policies', 'sources', 'notifications', 'users'] as const;
