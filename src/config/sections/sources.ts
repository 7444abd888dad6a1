/** `sources:`. */
import { z } from 'zod';
import type { AnyDriver } from '../../drivers/driver.ts';
import { defaultWorkspace } from '../../model/principal.ts';
import { localHost, type Placement, type SourceEntry } from '../config.ts';
import { expandPath } from '../expand-path.ts';
import type { ConfigPath } from '../problems.ts';
import type { Reading } from '../reading.ts';
import { assertions } from '../schemas/assertion-schema.ts';
import { name, names, workspace } from '../schemas/fields.ts';
import { windowSection } from '../schemas/window-schema.ts';
import { suggestion } from '../suggest.ts';
import { isMapping, readSection, splitEntry } from './section.ts';
import { checkSettings } from './settings.ts';

/** What every source has beside its driver's settings. */
export const sourceSection = z.strictObject({
  driver: name.describe('the kind of source'),
  host: name.default(localHost).describe('one of hosts; local is this machine'),
  policy: name.optional().describe('one of policies'),
  repository: names.optional().describe('one of repositories, or a list of them'),
  window: windowSection
    .optional()
    .describe('what is stopped while it is captured: { before: [{ stop: { container: NAME } }] }'),
  drill: z
    .strictObject({ assert: assertions })
    .optional()
    .describe('what must be true of a restored copy: { assert: [{ sql: …, atLeast: 1 }] }'),
  workspace: workspace.optional(),
});

const generalKeys = Object.keys(sourceSection.shape);

export function readSources(reading: Reading): Map<string, SourceEntry> {
  return readSection(reading, 'sources', (name, value, path) => {
    if (!isMapping(value)) return void reading.check(sourceSection, value, path);
    const parts = splitEntry(value, generalKeys);
    const entry = reading.check(sourceSection, parts.general, path);
    const driver = findDriver(reading, value.driver, [...path, 'driver']);
    if (!driver) return undefined;
    const given = withPaths(parts.own, value.host, reading.folder);
    const settings = checkSettings<unknown>(reading, driver.settings, given, { path, general: generalKeys });
    if (!entry || settings === undefined) return undefined;
    const placements = (entry.repository ?? []).map((repository): Placement => ({ repository }));
    const { host, policy, window, drill, workspace = defaultWorkspace } = entry;
    const assertions = drill?.assert ?? [];
    return {
      name,
      driver: driver.name,
      host,
      policy,
      workspace,
      placements,
      settings: settings.value,
      window,
      assertions,
    };
  });
}

function findDriver(reading: Reading, name: unknown, path: ConfigPath): AnyDriver | undefined {
  if (typeof name !== 'string') return undefined;
  const driver = reading.drivers.find((one) => one.name === name);
  if (driver) return driver;
  const known = reading.drivers.map((one) => one.name);
  const remedy = suggestion(name, known, 'driver');
  reading.problem({ path, part: 'value', message: `«${name}» is not a driver`, remedy });
  return undefined;
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
