/** The sections of the file, each entry by itself: one that is wrong does not hide what is wrong with the others. */
import type { z } from 'zod';
import { isSecretMapSetting, isSecretSetting, isTextOrReferenceSetting } from '../base/secret-reference.ts';
import type { AnyDriver } from '../drivers/driver.ts';
import type { AnyHostKind } from '../hosts/host.ts';
import type { HostEntry, Placement, PolicyEntry, RepositoryEntry, SourceEntry } from './config.ts';
import { localHost } from './config.ts';
import { expandPath } from './expand-path.ts';
import { hostLimitsSection } from './limits-schema.ts';
import type { ConfigPath } from './problems.ts';
import type { Reading } from './reading.ts';
import { policySection, repositorySection, sourceSection } from './schema.ts';
import { fieldsOf, keysOf, unknownKey } from './schema-issues.ts';
import { parseSecretReference, type SecretReference } from './secret-reference.ts';
import { suggestion } from './suggest.ts';

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Names that would mean something else on the command line. */
const reservedNames = new Set(['latest', 'all']);

export function readRepositories(reading: Reading): Map<string, RepositoryEntry> {
  return readSection(reading, 'repositories', (name, value, path) => {
    const general = Object.keys(repositorySection.shape);
    const given = isMapping(value) ? Object.entries(value) : [];
    const own = isMapping(value) ? Object.fromEntries(given.filter(([key]) => general.includes(key))) : value;
    const entry = reading.check(repositorySection, own, path);
    const password = readSecretReference(reading, value, [...path, 'password']);
    const rest = Object.fromEntries(given.filter(([key]) => !general.includes(key)));
    const settings = readStorageSettings(reading, entry?.url, rest, path);
    if (!entry || !password || !settings) return undefined;
    const url = isLocalPath(entry.url) ? expandPath(entry.url, reading.folder) : entry.url;
    if (!reading.storageKinds.some((kind) => kind.recognises(url))) {
      const known = reading.storageKinds.map((kind) => kind.urlForm).join('; ');
      const remedy = `It is accepted, but cannot be used yet. This version stores in: ${known}.`;
      reading.problem(
        { path: [...path, 'url'], part: 'value', message: 'is on a storage this version does not know', remedy },
        'warning',
      );
    }
    const { keep, mayBeAway: mayBeAwayMs, limits } = entry;
    const check = entry.check && { schedule: entry.check.schedule, readAllWithinMs: entry.check.readAllWithin };
    return { name, url, settings: settings.value, password, keep, mayBeAwayMs, limits, check };
  });
}

/** What is under the key of the storage's kind; `undefined` if something is wrong with it. */
function readStorageSettings(
  reading: Reading,
  url: string | undefined,
  given: Readonly<Record<string, unknown>>,
  path: ConfigPath,
): { value: unknown } | undefined {
  const { storageKinds } = reading;
  const kind = url === undefined ? undefined : storageKinds.find((one) => one.recognises(url));
  const names = storageKinds.filter(({ settings }) => settings !== undefined).map(({ name }) => name);
  const strange = Object.keys(given).filter((key) => key !== kind?.name || kind.settings === undefined);
  for (const key of strange) {
    const remedy = `The URL is that of ${kind?.name ?? 'another storage'}: remove these settings.`;
    const misplaced = { path: [...path, key], part: 'key', message: 'does not belong to the URL', remedy } as const;
    const general = Object.keys(repositorySection.shape);
    reading.problem(names.includes(key) ? misplaced : unknownKey([...path, key], key, [...general, ...names]));
  }
  if (strange.length > 0) return undefined;
  if (!kind?.settings) return { value: undefined };
  const own = given[kind.name] ?? {};
  if (isMapping(own)) return checkSettings(reading, kind.settings, own, { path: [...path, kind.name], general: [] });
  const remedy = `Write a mapping: ${kind.name}: { … }.`;
  reading.problem({ path: [...path, kind.name], part: 'value', message: 'is no mapping of settings', remedy });
  return undefined;
}

export function readHosts(reading: Reading): Map<string, HostEntry> {
  return readSection(reading, 'hosts', (name, value, path) => {
    if (name === localHost) {
      const remedy = 'Choose another name: a source without host is on this machine.';
      reading.problem({ path, part: 'key', message: 'is the name of this machine', remedy });
    }
    const kind = findHostKind(reading, value, path);
    if (!kind || !isMapping(value)) return undefined;
    const { limits: givenLimits, ...own } = value;
    const settings = checkSettings(reading, kind.settings, own, { path, general: ['limits'] });
    const limits = givenLimits && reading.check(hostLimitsSection, givenLimits, [...path, 'limits']);
    if (settings === undefined || (givenLimits !== undefined && !limits)) return undefined;
    const named = (kind.references ?? []).map((key) => value[key]).filter((other) => typeof other === 'string');
    const references = named.filter((other) => !/[@.:]/.test(other));
    return { name, kind: kind.name, settings: settings.value, ...(limits ? { limits } : {}), references };
  });
}

/** The kind whose own key is in the entry. */
function findHostKind(reading: Reading, value: unknown, path: ConfigPath): AnyHostKind | undefined {
  const names = reading.hostKinds.map((kind) => kind.name);
  const found = isMapping(value) ? reading.hostKinds.filter((kind) => kind.name in value) : [];
  if (found.length === 1) return found[0];
  const message = found.length === 0 ? 'does not say how it is reached' : 'says twice how it is reached';
  reading.problem({ path, part: 'key', message, remedy: `Write one of these keys: ${names.join(', ')}.` });
  return undefined;
}

export function readPolicies(reading: Reading): Map<string, PolicyEntry> {
  return readSection(reading, 'policies', (name, value, path) => {
    const entry = reading.check(policySection, value, path);
    if (!entry) return undefined;
    const placements = entry.repositories.map((one): Placement => ({ repository: one.name, keep: one.keep }));
    const { schedule, timezone, jitter, drill } = entry;
    return { name, schedule, timezone, jitterMs: jitter, placements, drill };
  });
}

export function readSources(reading: Reading): Map<string, SourceEntry> {
  return readSection(reading, 'sources', (name, value, path) => {
    if (!isMapping(value)) return void reading.check(sourceSection, value, path);
    const general = Object.keys(sourceSection.shape);
    const entries = Object.entries(value);
    const entry = reading.check(
      sourceSection,
      Object.fromEntries(entries.filter(([key]) => general.includes(key))),
      path,
    );
    const driver = findDriver(reading, value.driver, [...path, 'driver']);
    if (!driver) return undefined;
    const own = Object.fromEntries(entries.filter(([key]) => !general.includes(key)));
    const given = withPaths(own, value.host, reading.folder);
    const settings = checkSettings(reading, driver.settings, given, { path, general });
    if (!entry || settings === undefined) return undefined;
    const placements = (entry.repository ?? []).map((repository): Placement => ({ repository }));
    const { host, policy, window, drill } = entry;
    const assertions = drill?.assert ?? [];
    return { name, driver: driver.name, host, policy, placements, settings: settings.value, window, assertions };
  });
}

function readSection<T>(
  reading: Reading,
  section: string,
  read: (name: string, value: unknown, path: ConfigPath) => T | undefined,
): Map<string, T> {
  const entries = new Map<string, T>();
  const value = reading.value[section];
  if (value === undefined) return entries;
  if (!isMapping(value)) {
    const message = value === null ? 'is empty' : 'must be a mapping of names';
    reading.problem({
      path: [section],
      part: 'key',
      message,
      remedy: `Write names below it, or remove «${section}:».`,
    });
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

function readSecretReference(reading: Reading, owner: unknown, path: ConfigPath): SecretReference | undefined {
  if (!isMapping(owner)) return undefined;
  const value = owner[path.at(-1)!];
  const reference = parseSecretReference(value, reading.folder);
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

function findDriver(reading: Reading, name: unknown, path: ConfigPath): AnyDriver | undefined {
  if (typeof name !== 'string') return undefined;
  const driver = reading.drivers.find((one) => one.name === name);
  if (driver) return driver;
  const names = reading.drivers.map((one) => one.name);
  reading.problem({
    path,
    part: 'value',
    message: `«${name}» is not a driver`,
    remedy: suggestion(name, names, 'driver'),
  });
  return undefined;
}

/** Settings of a driver or host, checked by its own schema. `general` keys are checked elsewhere. Secrets become references first. */
function checkSettings(
  reading: Reading,
  schema: z.ZodType,
  given: Readonly<Record<string, unknown>>,
  { path, general }: { path: ConfigPath; general: readonly string[] },
): { value: unknown } | undefined {
  const known = keysOf(schema);
  const unknown = Object.keys(given).filter((key) => known.length > 0 && !known.includes(key));
  for (const key of unknown) reading.problem(unknownKey([...path, key], key, [...known, ...general]));
  const rest = Object.fromEntries(Object.entries(given).filter(([key]) => !unknown.includes(key)));
  const readable = replaceSecrets(reading, schema, rest, path);
  const value = readable && reading.check(schema, rest, path);
  return value === undefined || unknown.length > 0 ? undefined : { value };
}

/** In place; false if one of them was none. */
function replaceSecrets(
  reading: Reading,
  schema: z.ZodType,
  settings: Record<string, unknown>,
  path: ConfigPath,
): boolean {
  let readable = true;
  for (const [key, field] of Object.entries(fieldsOf(schema))) {
    if (!(key in settings)) continue;
    if (isSecretMapSetting(field)) readable = replaceSecretMap(reading, settings, [...path, key]) && readable;
    const isPlaced = isTextOrReferenceSetting(field) && isMapping(settings[key]);
    if (!isPlaced && !isSecretSetting(field)) continue;
    const reference = readSecretReference(reading, settings, [...path, key]);
    if (reference) settings[key] = reference;
    else readable = false;
  }
  return readable;
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

/** In every driver `path` and `paths` are places on the source's machine: on this one they may be relative to the file, or to the home. */
function withPaths(
  settings: Readonly<Record<string, unknown>>,
  host: unknown,
  folder: string,
): Record<string, unknown> {
  if (host !== undefined && host !== localHost) return { ...settings };
  const expand = (value: unknown): unknown =>
    typeof value === 'string' && value !== '' ? expandPath(value, folder) : value;
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => {
      if (key === 'path') return [key, expand(value)];
      if (key === 'paths') return [key, Array.isArray(value) ? value.map(expand) : value];
      return [key, value];
    }),
  );
}

function isLocalPath(url: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:/i.test(url);
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
