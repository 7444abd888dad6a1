/** `policies:`. */
import { z } from 'zod';
import { defaultWorkspace } from '../../model/principal.ts';
import type { DrillPlan, Placement, PolicyEntry } from '../config.ts';
import type { Reading } from '../reading.ts';
import { dayHours } from '../schemas/day-hours.ts';
import { durationText } from '../schemas/duration-schema.ts';
import { cron, every, keep, name, names, timezone, workspace } from '../schemas/fields.ts';
import { readSection } from './section.ts';

/** When something is due; of policies and of restores. */
export const timing = {
  schedule: cron.optional(),
  every: every.optional(),
  timezone: timezone.optional(),
  jitter: durationText.optional().describe('a time like 5m: it begins up to that much later'),
  after: names.optional().describe('a policy, or a list of them, whose runs come first'),
  timeout: durationText.optional().describe('how long a run may take, like 6h'),
};

export function hasOneTiming(given: { readonly schedule?: unknown; readonly every?: unknown }): boolean {
  return given.schedule === undefined || given.every === undefined;
}

export const twoTimings = { error: 'has both schedule and every', path: ['every'] };

const retry = z
  .strictObject({
    attempts: z.int().min(1).max(20).describe('how often in all, the first included, 1 to 20'),
    delay: durationText.default(5 * 60_000).describe('how long it waits before the second, like 5m; then twice that'),
  })
  .describe('{ attempts: 3, delay: 5m }');

const drill = z
  .strictObject({
    schedule: cron.optional(),
    after: names.optional().describe('a policy, or a list of them, whose runs come first; its own name is one'),
    snapshot: z.enum(['latest', 'random']).default('latest'),
  })
  .describe('{ schedule: "0 6 * * *" }');

/** Of one repository. */
const ownDrill = z
  .union([z.literal(false), z.strictObject({ schedule: cron })])
  .describe(
    'when what is there is drilled, if not as the others: { schedule: "0 6 1 * *" }, or false: never by itself',
  );

export const policySection = z
  .strictObject({
    ...timing,
    window: dayHours.optional().describe('{ from: "01:00", to: "05:00" }: nothing is started outside of it'),
    catchUp: z.boolean().default(true).describe('whether a run that was missed is done late'),
    retry: retry.optional(),
    repositories: z
      .array(
        z.union([
          name.transform((repository) => ({ name: repository, keep: undefined, drill: undefined })),
          z.strictObject({ name, keep: keep.optional(), drill: ownDrill.optional() }),
        ]),
      )
      .min(1)
      .describe('a list like [{ name: nas, keep: { daily: 7 } }]'),
    drill: drill.optional(),
    workspace: workspace.optional(),
  })
  .refine(hasOneTiming, twoTimings);

export function readPolicies(reading: Reading): Map<string, PolicyEntry> {
  return readSection(reading, 'policies', (name, value, path) => {
    const entry = reading.check(policySection, value, path);
    if (!entry) return undefined;
    const { schedule, every: everyMs, timezone, jitter, window, catchUp, timeout, retry, drill } = entry;
    return {
      name,
      schedule,
      everyMs,
      timezone,
      jitterMs: jitter,
      window,
      after: entry.after ?? [],
      catchUp,
      timeoutMs: timeout,
      retry: retry && { attempts: retry.attempts, delayMs: retry.delay },
      placements: entry.repositories.map(
        (one): Placement => ({ repository: one.name, keep: one.keep, drill: one.drill }),
      ),
      drill: drill && ({ ...drill, after: drill.after ?? [] } satisfies DrillPlan),
      workspace: entry.workspace ?? defaultWorkspace,
    };
  });
}
