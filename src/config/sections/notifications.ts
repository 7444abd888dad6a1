/** `notifications:`: who is told of what, and how. */
import { z } from 'zod';
import { eventTypes, severities } from '../../model/event.ts';
import type { ChannelEntry } from '../platform-config.ts';
import type { ConfigPath } from '../problems.ts';
import type { KnownChannel, Reading } from '../reading.ts';
import { names } from '../schemas/fields.ts';
import { nearest } from '../suggest.ts';
import { isMapping, readSection, splitEntry } from './section.ts';
import { checkSettings } from './settings.ts';

const families = [...new Set(Object.keys(eventTypes).map((type) => `${type.split('.')[0]}.*`))];
const patterns = [...Object.keys(eventTypes), ...families, '*'];

const pattern = z.string().refine((text) => patterns.includes(text), {
  error: ({ input }) => {
    const near = nearest(String(input), patterns);
    return `«${String(input)}» is no type of event${near === undefined ? '' : `; did you mean «${near}»?`}`;
  },
});

/** What every channel has beside the settings of its kind. */
export const channelSection = z.strictObject({
  on: z
    .union([pattern.transform((one) => [one]), z.array(pattern).min(1)])
    .optional()
    .describe('types of events, like [backup.failed, "drill.*"]'),
  severity: z.enum(severities).optional().describe('the least: info, warning or error'),
  sources: names.optional().describe('only what concerns one of these sources'),
  policies: names.optional().describe('only what concerns one of these policies'),
  repositories: names.optional().describe('only what concerns one of these repositories'),
  workspaces: names.optional().describe('only what concerns one of these workspaces'),
});

const generalKeys = Object.keys(channelSection.shape);

export function readNotifications(reading: Reading): Map<string, ChannelEntry> {
  return readSection(reading, 'notifications', (name, value, path) => {
    const parts = splitEntry(value, generalKeys);
    const entry = reading.check(channelSection, parts.general, path);
    const kind = findChannelKind(reading, value, path);
    if (!kind) return undefined;
    const settings = checkSettings(reading, kind.settings, parts.own, { path, general: generalKeys });
    if (!entry || !settings) return undefined;
    const { on = [], severity, sources = [], policies = [], repositories = [], workspaces = [] } = entry;
    const only = { sources, policies, repositories, workspaces };
    return { name, kind: kind.name, settings: settings.value, on, severity, ...only };
  });
}

/** The kind whose own key is in the entry. */
function findChannelKind(reading: Reading, value: unknown, path: ConfigPath): KnownChannel | undefined {
  const known = reading.channelKinds.map((kind) => kind.name);
  const found = isMapping(value) ? reading.channelKinds.filter((kind) => kind.name in value) : [];
  if (found.length === 1) return found[0];
  const message = found.length === 0 ? 'does not say how it is sent' : 'says twice how it is sent';
  reading.problem({ path, part: 'key', message, remedy: `Write one of these keys: ${known.join(', ')}.` });
  return undefined;
}
