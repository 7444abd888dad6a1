import { z } from 'zod';
import { parseDuration } from '../duration.ts';

/** A text like `5m`, as milliseconds. */
export const durationText = z
  .string()
  .describe('a time like 30s, 5m or 1h')
  .transform((text, ctx) => {
    const ms = parseDuration(text);
    if (ms === undefined) ctx.addIssue({ code: 'custom', message: 'is not a duration' });
    return ms ?? 0;
  });
