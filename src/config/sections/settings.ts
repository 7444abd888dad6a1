/** Settings whose schema somebody else wrote: of drivers, hosts, storages and channels. */
import type { z } from 'zod';
import { isSecretMapSetting, isSecretSetting, isTextOrReferenceSetting } from '../../base/secret-reference.ts';
import type { ConfigPath } from '../problems.ts';
import type { Reading } from '../reading.ts';
import { fieldsOf, keysOf, unknownKey } from '../schema-issues.ts';
import { parseSecretReference, type SecretReference } from '../secrets/secret-reference.ts';
import { isMapping } from './section.ts';

/** Checked by their own schema, where secrets become references first. `general` keys are checked elsewhere. */
export function checkSettings<T>(
  reading: Reading,
  schema: z.ZodType<T>,
  given: Readonly<Record<string, unknown>>,
  { path, general }: { path: ConfigPath; general: readonly string[] },
): { value: T } | undefined {
  const known = keysOf(schema);
  const unknown = Object.keys(given).filter((key) => known.length > 0 && !known.includes(key));
  for (const key of unknown) reading.problem(unknownKey([...path, key], key, [...known, ...general]));
  const rest = Object.fromEntries(Object.entries(given).filter(([key]) => !unknown.includes(key)));
  const readable = replaceSecrets(reading, schema, rest, path);
  const value = readable ? reading.check(schema, rest, path) : undefined;
  return value === undefined || unknown.length > 0 ? undefined : { value };
}

export function readSecretReference(reading: Reading, owner: unknown, path: ConfigPath): SecretReference | undefined {
  if (!isMapping(owner)) return undefined;
  const value = owner[path.at(-1)!];
  const reference = parseSecretReference(value, reading.folder, reading.secrets);
  if ('message' in reference) {
    reading.problem({ path, part: value === undefined || value === null ? 'key' : 'value', ...reference });
    return undefined;
  }
  if (reference.from === 'clear') {
    const remedy = 'Put it into a file only you can read (chmod 600) and write { file: /path }, or { env: NAME }.';
    reading.problem({ path, part: 'value', message: 'is a secret in the clear', remedy }, 'warning', 'clear-secret');
  }
  return reference;
}

/** In place, and in mappings within; false if one of them was none. */
function replaceSecrets(
  reading: Reading,
  schema: z.core.$ZodType,
  settings: Record<string, unknown>,
  path: ConfigPath,
): boolean {
  let readable = true;
  for (const [key, field] of Object.entries(fieldsOf(schema))) {
    if (!(key in settings)) continue;
    readable = replaceSecret(reading, field, { settings, path: [...path, key] }) && readable;
  }
  return readable;
}

function replaceSecret(
  reading: Reading,
  field: z.ZodType,
  { settings, path }: { settings: Record<string, unknown>; path: ConfigPath },
): boolean {
  const key = path.at(-1)!;
  if (isSecretMapSetting(field)) return replaceSecretMap(reading, settings, path);
  if (isSecretSetting(field) || (isTextOrReferenceSetting(field) && isMapping(settings[key]))) {
    const reference = readSecretReference(reading, settings, path);
    if (reference) settings[key] = reference;
    return reference !== undefined;
  }
  const inner = settings[key];
  if (!isMapping(inner)) return true;
  const copy = { ...inner };
  settings[key] = copy;
  return replaceSecrets(reading, field, copy, path);
}

/** What is no map at all is left to the schema. */
function replaceSecretMap(reading: Reading, settings: Record<string, unknown>, path: ConfigPath): boolean {
  const key = path.at(-1)!;
  const given = settings[key];
  if (!isMapping(given)) return true;
  const references = Object.keys(given).map(
    (name) => [name, readSecretReference(reading, given, [...path, name])] as const,
  );
  settings[key] = Object.fromEntries(references);
  return references.every(([, reference]) => reference !== undefined);
}
