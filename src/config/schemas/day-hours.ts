/** Times of the day, and the days of the week. */
import { z } from 'zod';
import type { DayHours } from '../config.ts';

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

/** As minutes of the day. */
export const timeOfDay = z
  .string()
  .describe('a time of day like 08:00, in quotes')
  .transform((text, ctx): number => {
    const match = /^([01]?\d|2[0-4]):([0-5]\d)$/.exec(text);
    const minute = match ? Number(match[1]) * 60 + Number(match[2]) : Number.NaN;
    if (!(minute <= 1440)) ctx.addIssue({ code: 'custom', message: 'is not a time of day' });
    return minute;
  });

/** 0 = Sunday. */
export const dayNumbers = z
  .array(z.enum(dayNames))
  .min(1)
  .describe('a list like [mon, tue, wed, thu, fri]')
  .transform((days) => days.map((day) => dayNames.indexOf(day)));

export const dayHours = z
  .strictObject({ from: timeOfDay, to: timeOfDay, days: dayNumbers.optional() })
  .describe('{ from: "01:00", to: "05:00" }')
  .transform(({ from, to, days }): DayHours => ({ fromMinute: from, toMinute: to, ...(days ? { days } : {}) }));
