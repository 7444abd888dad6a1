/** How fast bytes may pass, by the clock on the wall. */
import { wallClockAt } from './clock.ts';

export interface RateWindow {
  /** Minutes of the day: from `fromMinute` until before `toMinute`; over midnight if that is not later. Absent: all day. */
  readonly hours?: { readonly fromMinute: number; readonly toMinute: number };
  /** 0 = Sunday; the day on which the window begins. Absent: every day. */
  readonly days?: readonly number[];
  /** Absent: unlimited. */
  readonly bytesPerSecond?: number;
}

export interface RateTable {
  /** The first that is open counts; when none is, nothing is limited. */
  readonly windows: readonly RateWindow[];
  /** Of the hours and days; absent: this machine's. */
  readonly timezone?: string;
}

/** Bytes a second at an instant; `undefined` for no limit. */
export function rateAt({ windows, timezone }: RateTable, epochMs: number): number | undefined {
  const now = wallClockAt(epochMs, timezone);
  return windows.find((window) => isOpen(window, now))?.bytesPerSecond;
}

function isOpen({ hours, days }: RateWindow, { weekday, minute }: { weekday: number; minute: number }): boolean {
  const isOn = (day: number): boolean => days?.includes(day) ?? true;
  if (!hours) return isOn(weekday);
  const { fromMinute, toMinute } = hours;
  if (fromMinute < toMinute) return isOn(weekday) && minute >= fromMinute && minute < toMinute;
  // Over midnight: this evening's, or what is left of last evening's.
  return (isOn(weekday) && minute >= fromMinute) || (isOn((weekday + 6) % 7) && minute < toMinute);
}
