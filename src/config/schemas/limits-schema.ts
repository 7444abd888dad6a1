/** `limits:` of a repository or a host: how fast, by the time of day, and how much at once. */
import { z } from 'zod';
import type { RateTable, RateWindow } from '../../base/rate-table.ts';
import type { HostLimits } from '../../hosts/limited.ts';
import type { StorageLimits } from '../../storage/limited.ts';
import { dayNumbers, timeOfDay } from './day-hours.ts';
import { timezone } from './fields.ts';

/** Below this a single piece takes so long that servers hang up. */
const leastBytesPerSecond = 16 << 10;
/** Powers of 1000, or of 1024 with an i. */
const powers = ['', 'k', 'm', 'g'];

const rate = z
  .string()
  .describe('a rate like 2MiB/s, 500KB/s or 20Mbit/s, or unlimited')
  .transform((text, ctx): number | undefined => {
    if (text.trim() === 'unlimited') return undefined;
    const bytes = parseRate(text);
    if (bytes === undefined) ctx.addIssue({ code: 'custom', message: 'is not a rate' });
    else if (bytes < leastBytesPerSecond) ctx.addIssue({ code: 'custom', message: 'is less than 16KiB/s' });
    return bytes;
  });

const rateWindow = z
  .strictObject({
    from: timeOfDay.optional(),
    to: timeOfDay.optional(),
    days: dayNumbers.optional(),
    rate,
  })
  .refine((window) => (window.from === undefined) === (window.to === undefined), {
    error: 'has only one of from and to',
  })
  .transform(
    ({ from, to, days, rate: bytesPerSecond }): RateWindow => ({
      ...(from === undefined || to === undefined ? {} : { hours: { fromMinute: from, toMinute: to } }),
      ...(days ? { days } : {}),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    }),
  );

const timetable = z
  .union([
    rate.transform((bytesPerSecond): RateWindow[] => (bytesPerSecond === undefined ? [] : [{ bytesPerSecond }])),
    z.array(rateWindow).min(1),
  ])
  .describe("a rate like 2MiB/s, or a timetable like [{ from: '08:00', to: '20:00', rate: 2MiB/s }]");

const rates = {
  upload: timetable.optional(),
  download: timetable.optional(),
  timezone: timezone.optional(),
};

export const limitsSection = z
  .strictObject({
    ...rates,
    concurrency: z.int().min(1).max(64).optional().describe('how many transfers at once, 1 to 64'),
  })
  .transform(({ concurrency, ...given }): StorageLimits => ({ ...tablesOf(given), concurrency }));

export const hostLimitsSection = z
  .strictObject(rates)
  .transform((given): HostLimits => tablesOf(given))
  .describe('{ download: 5MiB/s, upload: 2MiB/s }');

interface Rates {
  readonly upload?: RateWindow[];
  readonly download?: RateWindow[];
  readonly timezone?: string;
}

function tablesOf({ upload, download, timezone }: Rates): { upload?: RateTable; download?: RateTable } {
  const table = (windows: RateWindow[] | undefined): RateTable | undefined =>
    windows && windows.length > 0 ? { windows, ...(timezone === undefined ? {} : { timezone }) } : undefined;
  return { upload: table(upload), download: table(download) };
}

/** `MB` and `Mbit` are told apart by their letters; `Mb`, which people mean either by, is neither. */
function parseRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([KMGkmg]?)(i?)(B|bit)\/s$/.exec(text.trim());
  if (!match) return undefined;
  const [, count, prefix, binary, unit] = match;
  const base = binary === 'i' ? 1024 : 1000;
  return Math.round((Number(count) * base ** powers.indexOf(prefix.toLowerCase())) / (unit === 'bit' ? 8 : 1));
}
