/** Words and lengths of what is told. */
import { formatLocalInstant } from '../base/clock.ts';
import type { MessageItem } from './message.ts';

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** At most `most` UTF-16 units, with `…` at the end of what was cut; never inside of what a reader sees as one character. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  if (most < 1) return '';
  // What a reader sees as one character is never longer than this in texts that mean something.
  const near = text.slice(0, most + 64);
  const end = graphemes.segment(near).containing(most - 1)?.index ?? 0;
  return `${text.slice(0, end).trimEnd()}…`;
}

/** Without line ends, control characters and marks that turn the direction of writing. */
export function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufeff]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim();
}

/** As `oneLine`, but lines stay. */
export function cleanLines(text: string): string {
  return text
    .split(/\r\n|[\n\r]/)
    .map(oneLine)
    .filter((line) => line !== '')
    .join('\n');
}

export const utf8Bytes = (text: string): number => Buffer.byteLength(text);
/** Code points, which most services mean by «characters». */
export const characters = (text: string): number => [...text].length;

/** One line for one event: what it says of itself, and how often or since when. */
export function titleOf({ event, times, sinceMs, mood }: MessageItem): string {
  const said = oneLine(event.title);
  const title = said.charAt(0).toUpperCase() + said.slice(1);
  if (mood === 'good' && times === 1) return `${title} (it had failed at ${formatTime(sinceMs)})`;
  if (mood === 'good') return `${title} (it had failed ${times} times since ${formatTime(sinceMs)})`;
  return times > 1 ? `${title} (${times} times since ${formatTime(sinceMs)})` : title;
}

/** As the machine's clock shows it, with its offset: `2026-11-21 03:00 +01:00`. */
export function formatTime(epochMs: number): string {
  const [, day, minute, zone] = /^(.{10})T(.{5})[\d:.]*(.*)$/.exec(formatLocalInstant(epochMs))!;
  return `${day} ${minute} ${zone === 'Z' ? 'UTC' : zone}`;
}

/** For HTML texts and attributes in double quotes. */
export function escapeHtml(raw: string): string {
  return raw.replace(/[&<>"']/g, (char) => htmlEntities[char]);
}

const htmlEntities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
