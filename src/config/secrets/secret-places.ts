/** Every reference to a secret in a configuration, and where it stands. */
import type { SecretReference } from '../../base/secret-reference.ts';
import { Secret } from '../../base/secrets.ts';
import type { Config } from '../config.ts';
import { type ConfigPath, formatPath } from '../problems.ts';

export interface SecretPlace {
  /** As in `repositories.r2.s3.secretAccessKey`. */
  readonly path: string;
  readonly steps: ConfigPath;
  readonly reference: SecretReference;
}

/** In the order of the file's sections. */
export function secretPlaces(config: Config): SecretPlace[] {
  const places: SecretPlace[] = [];
  for (const { name, password, settings, url } of config.repositories.values()) {
    const kind = /^([a-z0-9]+):/.exec(url)?.[1] ?? 'local';
    gather(password, ['repositories', name, 'password'], places);
    gather(settings, ['repositories', name, kind], places);
  }
  for (const { name, settings } of config.hosts.values()) gather(settings, ['hosts', name], places);
  for (const { name, settings, assertions, window } of config.sources.values()) {
    gather(settings, ['sources', name], places);
    gather(assertions, ['sources', name, 'drill', 'assert'], places);
    gather(window, ['sources', name, 'window'], places);
  }
  for (const { name, settings } of config.notifications.values()) gather(settings, ['notifications', name], places);
  gather(config.server, ['server'], places);
  return places;
}

function gather(value: unknown, path: readonly (string | number)[], into: SecretPlace[]): void {
  if (typeof value !== 'object' || value === null || value instanceof Secret) return;
  if (isReference(value)) {
    into.push({ path: formatPath(path), steps: path, reference: value });
    return;
  }
  const entries: Iterable<[string | number, unknown]> = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [key, inner] of entries) gather(inner, [...path, key], into);
}

export function isReference(value: object): value is SecretReference {
  if (!('from' in value)) return false;
  if (value.from === 'file') return 'path' in value;
  if (value.from === 'env') return 'name' in value;
  if (value.from === 'command') return 'argv' in value;
  if (value.from === 'stored') return 'name' in value;
  if (value.from === 'container') return 'variable' in value;
  return value.from === 'clear' && 'secret' in value;
}
