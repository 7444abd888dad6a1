/**
 * Times as Go writes them in JSON (time.RFC3339Nano): up to nine digits of a second without zeros at the end. Numbers, not
 * Date: a tree of a hundred thousand files has three times a file, and file times reach beyond Date's years.
 */
import { localOffsetMinutes } from '../../base/clock.ts';
import { malformed } from './malformed.ts';

const nanosPerSecond = 1_000_000_000n;
const daySeconds = 86_400;
/** Far outside the years JSON can hold, well inside what numbers hold exactly. */
const mostSeconds = 2 ** 50;
/** Go's zero time, 1 January of year 1: what a field that is absent stands for. */
export const goZeroTimeNs = -62_135_596_800n * nanosPerSecond;

/** `0` stands for a digit. */
const pattern = '0000-00-00T00:00:00';

/** Nanoseconds since the epoch; digits beyond the ninth are dropped. `repository.damaged` if it is not a time; `what` names it. */
export function goTimeNs(text: string, what: string): bigint {
  const seconds = localSeconds(text);
  let at = pattern.length;
  let nanos = 0;
  if (text.charCodeAt(at) === point) {
    const end = endOfDigits(text, at + 1);
    const digits = Math.min(9, end - at - 1);
    nanos = numberAt(text, at + 1, digits) * 10 ** (9 - digits);
    at = digits === 0 ? Number.NaN : end;
  }
  const zone = zoneSeconds(text, at);
  if (Number.isNaN(seconds + zone)) throw malformed(what, `«${text.slice(0, 40)}» is not a time`);
  return BigInt(seconds - zone) * nanosPerSecond + BigInt(nanos);
}

const point = 0x2e;
const digitZero = 0x30;

function isDigit(code: number): boolean {
  return code >= digitZero && code <= digitZero + 9;
}

function endOfDigits(text: string, start: number): number {
  let end = start;
  while (isDigit(text.charCodeAt(end))) end++;
  return end;
}

/** The number that `digits` characters make; they are digits. */
function numberAt(text: string, at: number, digits: number): number {
  let value = 0;
  for (let i = at; i < at + digits; i++) value = value * 10 + (text.charCodeAt(i) - digitZero);
  return value;
}

/** Seconds since the epoch of the date and clock a text begins with, as if in UTC; NaN if it begins otherwise. */
function localSeconds(text: string): number {
  for (let i = 0; i < pattern.length; i++) {
    const expected = pattern.charCodeAt(i);
    const code = text.charCodeAt(i);
    if (expected === digitZero ? !isDigit(code) : code !== expected) return Number.NaN;
  }
  const year = numberAt(text, 0, 4);
  const month = numberAt(text, 5, 2);
  const day = numberAt(text, 8, 2);
  const clock = clockSeconds(numberAt(text, 11, 2), numberAt(text, 14, 2)) + numberAt(text, 17, 2);
  const possible = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month) && numberAt(text, 17, 2) < 60;
  return possible ? daysOf(year, month, day) * daySeconds + clock : Number.NaN;
}

function clockSeconds(hours: number, minutes: number): number {
  return hours < 24 && minutes < 60 ? (hours * 60 + minutes) * 60 : Number.NaN;
}

/** The seconds east of UTC that the end of a text from `at` on states; NaN if it is no zone. */
function zoneSeconds(text: string, at: number): number {
  const rest = text.length - at;
  if (rest === 1 && text.charCodeAt(at) === 0x5a) return 0;
  const sign = text[at] === '+' ? 1 : text[at] === '-' ? -1 : Number.NaN;
  const formed = rest === 6 && endOfDigits(text, at + 1) === at + 3 && text[at + 3] === ':';
  if (!formed || endOfDigits(text, at + 4) !== at + 6) return Number.NaN;
  return sign * clockSeconds(numberAt(text, at + 1, 2), numberAt(text, at + 4, 2));
}

/** An RFC 3339 text in the form Go gives it. */
export function goTimeText(text: string): string {
  return text.replace(/\.(\d*?)0*(?=Z|[+-])/, (_, digits: string) => (digits === '' ? '' : `.${digits}`));
}

/**
 * A formatter in this machine's zone, as restic's; it remembers the last day and zone, because the files of a directory are
 * often of one. A zone is written in whole minutes, and so is the moment (Go shifts by the seconds of 19th-century zones).
 */
export function goTimeFormatter(): (ns: bigint) => string {
  let day = Number.NaN;
  let dayText = '';
  let minute = Number.NaN;
  let offset = 0;
  return (ns) => {
    let whole = ns / nanosPerSecond;
    let nanos = Number(ns - whole * nanosPerSecond);
    if (nanos < 0) {
      nanos += 1_000_000_000;
      whole--;
    }
    const seconds = Math.max(-mostSeconds, Math.min(mostSeconds, Number(whole)));
    // Since zones have whole minutes they change at whole minutes only.
    if (seconds < firstModernSecond || Math.floor(seconds / 60) !== minute) {
      minute = Math.floor(seconds / 60);
      offset = Math.trunc(localOffsetMinutes(seconds * 1000)) || 0;
    }
    const local = seconds + offset * 60;
    const localDay = Math.floor(local / daySeconds);
    if (localDay !== day) {
      day = localDay;
      dayText = civilText(localDay);
    }
    return `${dayText}${clockText(local - localDay * daySeconds)}${fractionText(nanos)}${zoneText(offset)}`;
  };
}

/** 1 January 1975. */
const firstModernSecond = 157_766_400;
const twoDigits = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));

function clockText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${twoDigits[Math.floor(minutes / 60)]}:${twoDigits[minutes % 60]}:${twoDigits[seconds - minutes * 60]}`;
}

function fractionText(nanos: number): string {
  if (nanos === 0) return '';
  let digits = nanos;
  let width = 9;
  while (digits % 10 === 0) {
    digits /= 10;
    width--;
  }
  return `.${String(digits).padStart(width, '0')}`;
}

function zoneText(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'Z';
  const size = Math.abs(offsetMinutes);
  return `${offsetMinutes < 0 ? '-' : '+'}${twoDigits[Math.floor(size / 60)]}:${twoDigits[size % 60]}`;
}

/** The date of a day since the epoch with its `T`. Years that JSON in Go cannot hold become the nearest, as restic's fixTime makes them. */
function civilText(day: number): string {
  const civil = civilOf(day);
  const year = Math.max(0, Math.min(9999, civil.year));
  // A leap day in a year without one: Go goes on to 1 March.
  const [month, dayOfMonth] = civil.day > daysIn(year, civil.month) ? [3, 1] : [civil.month, civil.day];
  return `${String(year).padStart(4, '0')}-${twoDigits[month]}-${twoDigits[dayOfMonth]}T`;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/**
 * Days since the epoch of a date, and back. In years that begin in March a leap day is the last day, and months before it
 * follow (153 · month + 2) / 5; 146,097 days are 400 years; 719,468 days lie between 1 March of year 0 and the epoch.
 */
function daysOf(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const monthFromMarch = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return 365 * marchYear + leapDays + Math.floor((153 * monthFromMarch + 2) / 5) + day - 1 - 719_468;
}

function civilOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1 };
}
