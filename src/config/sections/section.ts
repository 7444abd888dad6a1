/** A section of names, each entry by itself: one that is wrong does not hide what is wrong with the others. */
import type { ConfigPath } from '../problems.ts';
import type { Reading } from '../reading.ts';

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Names that would mean something else on the command line. */
const reservedNames = new Set(['latest', 'all']);

export function readSection<T>(
  reading: Reading,
  section: string,
  read: (name: string, value: unknown, path: ConfigPath) => T | undefined,
): Map<string, T> {
  const entries = new Map<string, T>();
  const value = reading.value[section];
  if (value === undefined) return entries;
  if (!isMapping(value)) {
    const message = value === null ? 'is empty' : 'must be a mapping of names';
    const remedy = `Write names below it, or remove «${section}:».`;
    reading.problem({ path: [section], part: 'key', message, remedy });
    return entries;
  }
  for (const [name, entry] of Object.entries(value)) {
    const path = [section, name];
    if (!nameForm.test(name) || reservedNames.has(name)) {
      const message = reservedNames.has(name) ? 'is a name with another meaning' : 'is not a name';
      const remedy =
        'Use letters, digits, «.», «_» and «-», at most 64, beginning with a letter or digit; not latest or all.';
      reading.problem({ path, part: 'key', message, remedy });
    }
    const result = read(name, entry, path);
    if (result !== undefined) entries.set(name, result);
  }
  return entries;
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An entry of two parts: the keys every one has, and those of its kind. What is no mapping is left to the schema. */
export function splitEntry(
  value: unknown,
  general: readonly string[],
): { general: unknown; own: Record<string, unknown> } {
  if (!isMapping(value)) return { general: value, own: {} };
  const entries = Object.entries(value);
  return {
    general: Object.fromEntries(entries.filter(([key]) => general.includes(key))),
    own: Object.fromEntries(entries.filter(([key]) => !general.includes(key))),
  };
}
