/** Times as Go writes them in JSON: RFC 3339 with up to nine digits of a second, in the machine's zone. */
import { localOffsetMinutes, parseInstant } from '../../base/clock.ts';
import { malformed } from './malformed.ts';

const form = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;
const day = 86_400n;

/** Nanoseconds since the epoch. */
export function goTimeNs(text: string, what: string): bigint {
  const match = form.exec(text);
  const ms = match && parseInstant(`${match[1]}${match[3]}`);
  if (!match || ms === null || ms === undefined) throw malformed(what, `«${text.slice(0, 40)}» is not a time`);
  return BigInt(ms) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** The years JSON of Go can hold; what lies outside keeps its date in the nearest of them, as restic's fixTime does. */
function clampYear(civil: { year: number; month: number; day: number }): number {
  return Math.min(9999, Math.max(0, civil.year));
}

/** A formatter that remembers the last second, because the files of a directory are often of one second. */
export function goTimeFormatter(): (ns: bigint) => string {
  let lastSeconds: bigint | undefined;
  let lastText = '';
  let lastZone = '';
  return (ns) => {
    const fraction = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    const seconds = (ns - fraction) / 1_000_000_000n;
    if (seconds !== lastSeconds) {
      const offset = localOffsetMinutes(Number(seconds) * 1000) || 0;
      lastText = civilText(seconds + BigInt(Math.trunc(offset) * 60));
      lastZone = zoneText(Math.trunc(offset));
      lastSeconds = seconds;
    }
    const digits = fraction === 0n ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
    return lastText + digits + lastZone;
  };
}

function zoneText(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'Z';
  const size = Math.abs(offsetMinutes);
  return `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Date and time of a count of seconds, by Howard Hinnant's civil-from-days: Date cannot reach all the years a file time can. */
function civilText(seconds: bigint): string {
  const inDay = Number(((seconds % day) + day) % day);
  const civil = civilOf((seconds - BigInt(inDay)) / day);
  const date = `${String(clampYear(civil)).padStart(4, '0')}-${two(civil.month)}-${two(civil.day)}`;
  return `${date}T${two(Math.floor(inDay / 3600))}:${two(Math.floor(inDay / 60) % 60)}:${two(inDay % 60)}`;
}

function civilOf(days: bigint): { year: number; month: number; day: number } {
  const shifted = days + 719_468n;
  const era = (shifted >= 0n ? shifted : shifted - 146_096n) / 146_097n;
  const dayOfEra = Number(shifted - era * 146_097n);
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = Number(era) * 400 + yearOfEra + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 };
}
