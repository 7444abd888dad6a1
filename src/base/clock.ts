/** Time as a parameter. Nothing else in `src/` may touch Date or timers, so that every deadline can be tested. */
import { cancelled } from './errors.ts';

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Milliseconds on a clock that never steps; for durations only. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with `cancelled` as soon as the signal is aborted. Does not keep the process alive when `background`. */
  sleep(ms: number, options?: { signal?: AbortSignal; background?: boolean }): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, { signal, background = false } = {}) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal.reason));
      const stop = (): void => {
        clearTimeout(timer);
        reject(cancelled(signal?.reason));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, ms);
      if (background) timer.unref();
      signal?.addEventListener('abort', stop, { once: true });
    }),
};

/** RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T03:00:00.000Z`. */
export function formatInstant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** As HTTP has it (RFC 9110, 5.6.7), e.g. `Sat, 21 Nov 2026 14:05:26 GMT`. */
export function formatHttpDate(epochMs: number): string {
  return new Date(epochMs).toUTCString();
}

/** Milliseconds since the epoch of a date as HTTP has it; `undefined` if it is none. */
export function parseHttpDate(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Milliseconds since the epoch of an RFC 3339 / ISO 8601 text; `undefined` if it is none. A text without zone is UTC. */
export function parseInstant(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  if (!match) return undefined;
  const zone = (match[3] ?? 'Z').replace(/([+-]\d\d)(\d\d)$/, '$1:$2');
  const ms = Date.parse(`${match[1]}T${match[2] ?? '00:00'}${zone}`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Year, month (1–12), day, hour, ISO week of an instant as seen `offsetMinutes` east of UTC. */
export function calendarOf(epochMs: number, offsetMinutes: number) {
  const d = new Date(epochMs + offsetMinutes * 60_000);
  const thursday = new Date(d);
  thursday.setUTCDate(d.getUTCDate() + 4 - (d.getUTCDay() || 7));
  const isoYear = thursday.getUTCFullYear();
  const isoWeek = 1 + Math.floor((thursday.getTime() - Date.UTC(isoYear, 0, 1)) / (7 * 86_400_000));
  return {
    year: d.getUTCFullYear(),
    month: d.getUTCMonth() + 1,
    day: d.getUTCDate(),
    hour: d.getUTCHours(),
    isoYear,
    isoWeek,
  };
}

/** Minutes east of UTC of this machine's zone at an instant. */
export function localOffsetMinutes(epochMs: number): number {
  return -new Date(epochMs).getTimezoneOffset();
}

/** RFC 3339 with milliseconds and this machine's offset at that instant, e.g. `2026-11-21T04:00:00.000+01:00` (`Z` in UTC). */
export function formatLocalInstant(epochMs: number): string {
  const offset = localOffsetMinutes(epochMs);
  if (offset === 0) return formatInstant(epochMs);
  const pad = (n: number): string => String(n).padStart(2, '0');
  const size = Math.abs(offset);
  const zone = `${offset < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
  return formatInstant(epochMs + offset * 60_000).replace('Z', zone);
}

/** An instant moved by calendar years, months and days as seen `offsetMinutes` east of UTC. Days that do not exist roll over (31 March − 1 month = 3 March), as in Go. */
export function shiftCalendar(
  epochMs: number,
  offsetMinutes: number,
  by: { readonly years: number; readonly months: number; readonly days: number },
): number {
  const d = new Date(epochMs + offsetMinutes * 60_000);
  d.setUTCFullYear(d.getUTCFullYear() + by.years, d.getUTCMonth() + by.months, d.getUTCDate() + by.days);
  return d.getTime() - offsetMinutes * 60_000;
}

/** Minutes east of UTC that an RFC 3339 text states; 0 if it states none. */
export function statedOffsetMinutes(text: string): number {
  const match = /([+-])(\d\d):?(\d\d)$/.exec(text);
  if (!match) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === '-' ? -minutes : minutes;
}

const wallClocks = new Map<string, Intl.DateTimeFormat>();
const weekdayNames = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** Weekday (0 = Sunday) and minute of the day as a clock on the wall shows them, in a named zone or in this machine's. */
export function wallClockAt(epochMs: number, timezone?: string): { weekday: number; minute: number } {
  if (timezone === undefined) {
    const d = new Date(epochMs);
    return { weekday: d.getDay(), minute: d.getHours() * 60 + d.getMinutes() };
  }
  const fields = { weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const format = wallClocks.get(timezone) ?? new Intl.DateTimeFormat('en-US', { timeZone: timezone, ...fields });
  wallClocks.set(timezone, format);
  const shown = new Map(format.formatToParts(epochMs).map(({ type, value }) => [type, value]));
  const minute = Number(shown.get('hour')) * 60 + Number(shown.get('minute'));
  return { weekday: weekdayNames.indexOf(shown.get('weekday') ?? ''), minute };
}

const zones = new Map<string | undefined, Intl.DateTimeFormat>();

/** Milliseconds east of UTC of a named zone, or of this machine's, at an instant. */
export function zoneOffsetMs(epochMs: number, timezone?: string): number {
  if (timezone === 'UTC') return 0;
  const format =
    zones.get(timezone) ?? new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' });
  zones.set(timezone, format);
  const shown = format.formatToParts(epochMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const match = /([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(shown);
  if (!match) return 0;
  const [hours, minutes, seconds] = [match[2], match[3], match[4] ?? '0'].map(Number);
  return ((hours * 60 + minutes) * 60 + seconds) * (match[1] === '-' ? -1000 : 1000);
}

/** For libraries that take a Date. */
export function dateOf(epochMs: number): Date {
  return new Date(epochMs);
}

/** Milliseconds since the epoch of a date in words, as OpenSSL writes those of certificates: `Nov 21 03:00:00 2026 GMT`. */
export function parseDate(text: string): number {
  return Date.parse(text);
}
