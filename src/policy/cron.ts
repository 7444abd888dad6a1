/**
 * Cron expressions of five fields (minute, hour, day of month, month, day of week), as crontab(5) has them, with names
 * and the nicknames `@hourly` … `@yearly`. Here they are understood and measured;
 * `firing-times.ts` puts them on the calendar of a time zone.
 */
interface Field {
  readonly title: string;
  readonly from: number;
  readonly to: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: readonly Field[] = [
  { title: 'minute', from: 0, to: 59 },
  { title: 'hour', from: 0, to: 23 },
  { title: 'day of month', from: 1, to: 31 },
  { title: 'month', from: 1, to: 12, names: months },
  { title: 'day of week', from: 0, to: 7, names: weekdays },
];
const nicknames: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
};

export interface Cron {
  /** Minutes of the day, ascending. */
  readonly minutes: readonly number[];
  /** The hour begins with `*`: it means real hours, also the one that comes twice a year; see `firing-times.ts`. */
  readonly everyHour: boolean;
  /** True if the schedule fires on that day; month 1–12, weekday 0 = Sunday. */
  readonly onDay: (month: number, day: number, weekday: number) => boolean;
}

/** The schedule, or a sentence about what is wrong with the text. */
export function parseCron(text: string): Cron | string {
  const parts = (nicknames[text.trim().toLowerCase()] ?? text.trim()).split(/\s+/);
  if (parts.length !== 5) return `it has ${parts.length} field(s) where five are needed`;
  const sets: Set<number>[] = [];
  for (const [i, part] of parts.entries()) {
    const set = parseField(part, fields[i]);
    if (typeof set === 'string') return set;
    sets.push(set);
  }
  const [minute, hour, dayOfMonth, month, weekday] = sets;
  const minutes = [...hour].flatMap((h) => [...minute].map((m) => h * 60 + m)).sort((a, b) => a - b);
  const eitherDay = !parts[2].startsWith('*') && !parts[4].startsWith('*');
  const onWeekday = (day: number): boolean => weekday.has(day) || (day === 0 && weekday.has(7));
  const cron: Cron = {
    minutes,
    everyHour: parts[1].startsWith('*'),
    // crontab(5): if both day fields are restricted, either one is enough.
    onDay: (m, d, w) =>
      month.has(m) && (eitherDay ? dayOfMonth.has(d) || onWeekday(w) : dayOfMonth.has(d) && onWeekday(w)),
  };
  return longestGapMs(cron) === undefined ? 'it names a day that never comes' : cron;
}

/** The longest time between two firings, in milliseconds, over a whole cycle of dates and weekdays; `undefined` if it never fires. */
export function longestGapMs(cron: Cron): number | undefined {
  const days = firingDays(cron);
  if (days.length === 0) return undefined;
  const first = cron.minutes[0];
  const last = cron.minutes.at(-1)!;
  let longest = 0;
  for (let i = 1; i < cron.minutes.length; i++) longest = Math.max(longest, cron.minutes[i] - cron.minutes[i - 1]);
  const cycle = [...days, days[0] + cycleDays];
  for (let i = 1; i < cycle.length; i++) {
    longest = Math.max(longest, (cycle[i] - cycle[i - 1]) * 1440 + first - last);
  }
  return longest * 60_000;
}

/** After 28 years of the Julian count, dates fall on the same weekdays again. */
const cycleYears = 28;
const cycleDays = cycleYears * 365 + cycleYears / 4;
const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function firingDays(cron: Cron): number[] {
  const days: number[] = [];
  let number = 0;
  for (let year = 0; year < cycleYears; year++) {
    for (let month = 1; month <= 12; month++) {
      const length = month === 2 && year % 4 === 0 ? 29 : lengths[month - 1];
      for (let day = 1; day <= length; day++, number++) if (cron.onDay(month, day, number % 7)) days.push(number);
    }
  }
  return days;
}

function parseField(text: string, field: Field): Set<number> | string {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const range = parseRange(part, field);
    if (!range) return `«${part}» is not a ${field.title} (${field.from}–${field.to})`;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return values;
}

function parseRange(part: string, field: Field): { from: number; to: number; step: number } | undefined {
  const match = /^(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:\/(\d+))?$/i.exec(part);
  if (!match) return undefined;
  const step = match[2] === undefined ? 1 : Number(match[2]);
  const [start, end] = match[1] === '*' ? [String(field.from), String(field.to)] : match[1].split('-');
  const from = parseValue(start, field);
  const to = end === undefined ? (match[2] === undefined ? from : field.to) : parseValue(end, field);
  if (from === undefined || to === undefined || from > to || step < 1) return undefined;
  return { from, to, step };
}

function parseValue(text: string, field: Field): number | undefined {
  const named = field.names?.indexOf(text.toLowerCase()) ?? -1;
  const value = named >= 0 ? named + (field.from === 1 ? 1 : 0) : /^\d+$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value >= field.from && value <= field.to ? value : undefined;
}
