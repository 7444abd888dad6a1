/** `repositories:`. */
import { z } from 'zod';
import { defaultWorkspace } from '../../model/principal.ts';
import type { PrunePlan, RepositoryEntry } from '../config.ts';
import { expandPath } from '../expand-path.ts';
import type { ConfigPath } from '../problems.ts';
import type { Reading } from '../reading.ts';
import { unknownKey } from '../schema-issues.ts';
import { durationText } from '../schemas/duration-schema.ts';
import { cron, keep, name, workspace } from '../schemas/fields.ts';
import { limitsSection } from '../schemas/limits-schema.ts';
import { isMapping, readSection, splitEntry } from './section.ts';
import { checkSettings, readSecretReference } from './settings.ts';

export const repositorySection = z.strictObject({
  url: name.describe('a directory like /mnt/nas/holdfast, or the URL of a storage'),
  password: z.unknown().describe('{ file: /path }, { env: NAME } or { command: [program, argument] }'),
  keep: keep.optional(),
  mayBeAway: durationText
    .optional()
    .describe(
      'how old its newest snapshot may become while it is not there, like 14d: for a disk that is not always connected',
    ),
  check: z
    .strictObject({
      schedule: cron.optional(),
      readAllWithin: durationText.optional().describe('how long it may take until all data was read once, like 30d'),
    })
    .optional()
    .describe('{ schedule: "0 4 * * *", readAllWithin: 30d }'),
  prune: z
    .strictObject({
      schedule: cron.optional(),
      maxTime: durationText.optional().describe('how long one run may take, like 2h; the next goes on'),
    })
    .optional()
    .describe('{ schedule: "0 6 * * 0", maxTime: 2h }'),
  limits: limitsSection.optional().describe('{ upload: 2MiB/s, download: 10MiB/s, concurrency: 4 }'),
  workspace: workspace.optional(),
});

const generalKeys = Object.keys(repositorySection.shape);

export function readRepositories(reading: Reading): Map<string, RepositoryEntry> {
  return readSection(reading, 'repositories', (name, value, path) => {
    const parts = splitEntry(value, generalKeys);
    const entry = reading.check(repositorySection, parts.general, path);
    const password = readSecretReference(reading, value, [...path, 'password']);
    const settings = readStorageSettings(reading, entry?.url, parts.own, path);
    if (!entry || !password || !settings) return undefined;
    const url = isLocalPath(entry.url) ? expandPath(entry.url, reading.folder) : entry.url;
    warnOfUnknownStorage(reading, url, path);
    const { keep, mayBeAway: mayBeAwayMs, limits, workspace = defaultWorkspace } = entry;
    const check = entry.check && { schedule: entry.check.schedule, readAllWithinMs: entry.check.readAllWithin };
    const prune: PrunePlan | undefined = entry.prune && {
      schedule: entry.prune.schedule,
      maxTimeMs: entry.prune.maxTime,
    };
    return { name, url, settings: settings.value, password, keep, mayBeAwayMs, limits, check, prune, workspace };
  });
}

function warnOfUnknownStorage(reading: Reading, url: string, path: ConfigPath): void {
  if (reading.storageKinds.some((kind) => kind.recognises(url))) return;
  const known = reading.storageKinds.map((kind) => kind.urlForm).join('; ');
  const remedy = `It is accepted, but cannot be used yet. This version stores in: ${known}.`;
  const message = 'is on a storage this version does not know';
  reading.problem({ path: [...path, 'url'], part: 'value', message, remedy }, 'warning');
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
    reading.problem(names.includes(key) ? misplaced : unknownKey([...path, key], key, [...generalKeys, ...names]));
  }
  if (strange.length > 0) return undefined;
  if (!kind?.settings) return { value: undefined };
  const own = kind.name in given ? given[kind.name] : {};
  if (isMapping(own)) return checkSettings(reading, kind.settings, own, { path: [...path, kind.name], general: [] });
  const remedy = `Write a mapping: ${kind.name}: { … }.`;
  const message = own === null ? 'is empty' : 'is no mapping of settings';
  reading.problem({ path: [...path, kind.name], part: own === null ? 'key' : 'value', message, remedy });
  return undefined;
}

function isLocalPath(url: string): boolean {
  return !/^[a-z][a-z0-9+.-]*:/i.test(url);
}
