/** Values of options that several commands take. */
import { HoldfastError } from '../base/errors.ts';
import type { Retention } from '../model/policy.ts';
import { parseByteCount } from '../operations/byte-count.ts';
import { parseDuration } from '../operations/durations.ts';

/** `usage.invalid` unless it is a time like 30s, 5m or 1h, or 0. */
export function waitMs(text: string): number {
  const ms = text === '0' ? 0 : parseDuration(text);
  if (ms !== undefined) return ms;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${text}» is not a duration`,
    remedy: 'Write it like 30s, 5m or 1h.',
  });
}

export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** The rules given as `--keep-daily 7` and so on; `undefined` if there are none. */
export function retentionOf(options: Readonly<Record<string, unknown>>): Retention | undefined {
  const rules: Record<string, number | string> = {};
  for (const period of ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const) {
    const text = options[`keep${period[0].toUpperCase()}${period.slice(1)}`];
    if (typeof text === 'string') rules[period] = countOf(text, period);
  }
  if (typeof options.keepWithin === 'string') rules.within = options.keepWithin;
  return Object.keys(rules).length === 0 ? undefined : (rules as Retention);
}

function countOf(text: string, period: string): number {
  if (text === 'all' || text === 'unlimited') return -1;
  if (/^-?\d+$/.test(text) && Number(text) >= -1) return Number(text);
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `--keep-${period}: «${text}» is not a count`,
    remedy: 'Give a whole number; -1 or all keeps every one.',
  });
}

/** `5GiB` in bytes. `usage.invalid`. */
export function byteCount(text: string): number {
  const bytes = parseByteCount(text);
  if (bytes !== undefined) return bytes;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${text}» is not a number of bytes`,
    remedy: 'Write it like 500M or 5GiB.',
  });
}

/** `5` or `5%` as 0.05. `usage.invalid`. */
export function share(text: string): number {
  const match = /^(\d+(?:\.\d+)?)%?$/.exec(text);
  if (match && Number(match[1]) <= 100) return Number(match[1]) / 100;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${text}» is not a percentage`,
    remedy: 'Write it like 5 or 5%.',
  });
}
