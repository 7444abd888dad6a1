/** What may stand in an entry with `healthchecks:`. */
import { z } from 'zod';
import { textOrReferenceSetting } from '../../base/secret-reference.ts';

export const settings = z.strictObject({
  healthchecks: textOrReferenceSetting(
    'The ping address of a check: https://hc-ping.com/UUID, or …/PING-KEY/SLUG; a reference like { env: NAME } keeps it secret.',
  ),
  heartbeatMinutes: z
    .int()
    .min(1)
    .max(1440)
    .optional()
    .describe('Ping every so many minutes that Holdfast itself is alive, instead of after runs.'),
});

export type Settings = z.infer<typeof settings>;
