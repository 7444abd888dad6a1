/** Values of entries, as plain JSON. */
import { withoutSecretText } from '../../../config/index.ts';

/** A copy with another value at a place; what is not there is not made. */
export function replaceAt(value: unknown, steps: readonly (string | number)[], by: unknown): unknown {
  if (steps.length === 0) return by;
  const [step, ...rest] = steps;
  if (Array.isArray(value)) return value.map((one, i) => (i === step ? replaceAt(one, rest, by) : one));
  if (typeof value !== 'object' || value === null || !(step in value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === String(step) ? replaceAt(inner, rest, by) : inner]),
  );
}

/** Where a text holds what looks like a secret: `url`, `command[2]`. */
export function secretInText(value: unknown, path = ''): string | undefined {
  if (typeof value === 'string') return withoutSecretText(value) === value ? undefined : path;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    const found = secretInText(inner, at);
    if (found !== undefined) return found;
  }
  return undefined;
}
