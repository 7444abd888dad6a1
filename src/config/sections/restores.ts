/** `restores:`, the ones that come by themselves. */
import { z } from 'zod';
import type { RestoreEntry } from '../platform-config.ts';
import type { Reading } from '../reading.ts';
import { name } from '../schemas/fields.ts';
import { hasOneTiming, timing, twoTimings } from './policies.ts';
import { readSection } from './section.ts';

const patterns = z.array(name).default([]);

export const restoreSection = z
  .strictObject({
    source: name.describe('one of sources: its newest snapshot is restored'),
    ...timing,
    to: name.optional().describe('where to, as in: holdfast restore --to'),
    inPlace: z.boolean().default(false).describe('true: back to where it came from'),
    overwrite: z.boolean().default(false).describe('true: what is there is replaced'),
    include: patterns.describe('a list of patterns: only these'),
    exclude: patterns.describe('a list of patterns: not these'),
    repository: name.optional().describe('one of repositories'),
  })
  .refine(hasOneTiming, twoTimings)
  .refine((entry) => (entry.to !== undefined) !== entry.inPlace, {
    error: 'needs one of «to: PLACE» and «inPlace: true»',
    path: ['to'],
  })
  .refine((entry) => [entry.schedule, entry.every, entry.after].some((one) => one !== undefined), {
    error: 'never comes: it has neither schedule nor every nor after',
  });

export function readRestores(reading: Reading): Map<string, RestoreEntry> {
  return readSection(reading, 'restores', (name, value, path) => {
    const entry = reading.check(restoreSection, value, path);
    if (!entry) return undefined;
    const { every: everyMs, jitter: jitterMs, timeout: timeoutMs, after = [], ...rest } = entry;
    return { name, ...rest, everyMs, jitterMs, timeoutMs, after };
  });
}
