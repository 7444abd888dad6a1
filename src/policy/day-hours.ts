/** Hours of the day, on some days of the week or on all. */
import { wallClockAt } from '../base/clock.ts';
import { nextFiring } from './firing-times.ts';

/** Minutes of the day: from `fromMinute` until before `toMinute`, over midnight if that is not later. */
export interface DayHours {
  readonly fromMinute: number;
  readonly toMinute: number;
  /** 0 = Sunday: days on which it begins. Absent: every day. */
  readonly days?: readonly number[];
}

export function isWithin(hours: DayHours, atMs: number, timezone?: string): boolean {
  const { weekday, minute } = wallClockAt(atMs, timezone);
  const isOn = (day: number): boolean => hours.days?.includes((day + 7) % 7) ?? true;
  const { fromMinute, toMinute } = hours;
  if (fromMinute < toMinute) return isOn(weekday) && minute >= fromMinute && minute < toMinute;
  return (minute >= fromMinute && isOn(weekday)) || (minute < toMinute && isOn(weekday - 1));
}

/** `atMs` if it is within, else when the hours begin next. */
export function nextWithin(hours: DayHours, atMs: number, timezone?: string): number {
  if (isWithin(hours, atMs, timezone)) return atMs;
  const minute = hours.fromMinute % 1440;
  const days = hours.days?.join(',') ?? '*';
  const cron = `${minute % 60} ${Math.floor(minute / 60)} * * ${days}`;
  return nextFiring({ kind: 'cron', cron, timezone }, atMs) ?? Number.POSITIVE_INFINITY;
}
