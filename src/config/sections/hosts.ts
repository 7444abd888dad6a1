/** `hosts:`. */
import type { AnyHostKind } from '../../hosts/host.ts';
import { type HostEntry, localHost } from '../config.ts';
import type { ConfigPath } from '../problems.ts';
import type { Reading } from '../reading.ts';
import { hostLimitsSection } from '../schemas/limits-schema.ts';
import { isMapping, readSection } from './section.ts';
import { checkSettings } from './settings.ts';

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
    const limits =
      givenLimits === undefined ? undefined : reading.check(hostLimitsSection, givenLimits, [...path, 'limits']);
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
