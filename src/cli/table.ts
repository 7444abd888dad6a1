/** Plain text for people: columns, times, sizes. Everything shown passes `printableName`. */
import { formatLocalInstant } from '../base/clock.ts';
import { printableName } from '../base/names.ts';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'right';
  readonly value: (row: Row) => string;
}

/** A header, a line, and the rows; columns as wide as their longest cell. Memory: the whole table. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = rows.map((row) => columns.map((column) => printableName(column.value(row))));
  const widths = columns.map((column, i) => Math.max(width(column.title), ...cells.map((row) => width(row[i]))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (columns[i].align === 'right' ? padStart(cell, widths[i]) : padEnd(cell, widths[i])))
      .join('  ')
      .trimEnd();
  const titles = columns.map((column) => column.title);
  return [line(titles), widths.map((size) => '─'.repeat(size)).join('  '), ...cells.map(line)].join('\n');
}

/** Two columns without a header: what it is, and its value. Pairs without a value are left out. */
export function facts(pairs: readonly (readonly [string, string | undefined])[]): string {
  const shown = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
  const size = Math.max(0, ...shown.map(([title]) => width(title)));
  return shown.map(([title, value]) => `${padEnd(title, size)}  ${value}`).join('\n');
}

/** `2026-11-21 04:00:12` on this machine's clock. */
export function localTime(epochMs: number): string {
  return formatLocalInstant(epochMs).slice(0, 19).replace('T', ' ');
}

export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** `1 file`, `3 files`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

function width(text: string): number {
  return [...text].length;
}

function padEnd(text: string, size: number): string {
  return text + ' '.repeat(Math.max(0, size - width(text)));
}

function padStart(text: string, size: number): string {
  return ' '.repeat(Math.max(0, size - width(text))) + text;
}
