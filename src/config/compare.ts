/** What is different between two configurations, entry by entry, by what they mean and not by how they are written. */
import { Secret } from '../base/secrets.ts';
import type { Config } from './config.ts';
import { sectionNames } from './load.ts';
import { formatPath } from './problems.ts';
import { cleanText, isUnmistakable, namesSecret, removedMark } from './secrets/clean-text.ts';
import { secretPlaces } from './secrets/secret-places.ts';

export type Section = (typeof sectionNames)[number];

export interface Difference {
  readonly section: Section;
  /** Of the entry; `server` for the settings of the server. */
  readonly name: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** What of it changed; empty for what was added or removed. */
  readonly fields: readonly FieldChange[];
}

export interface FieldChange {
  /** Within the entry: `placements[0].keep.daily`. */
  readonly path: string;
  /** As JSON; without secrets. Absent where there was none. */
  readonly before?: string;
  readonly after?: string;
}

/** In the order of the sections, in each removed ones first. No secret is in it, also where one in the clear changed. */
export function compareConfigs(before: Config, after: Config): Difference[] {
  const secrets = [...clearSecrets(before), ...clearSecrets(after)];
  return sectionNames.flatMap((section) => {
    const [old, now] = [entriesOf(before, section), entriesOf(after, section)];
    const removed = [...old.keys()].filter((name) => !now.has(name));
    const added = [...now.keys()].filter((name) => !old.has(name));
    const changed = [...now].flatMap(([name, entry]): Difference[] => {
      if (!old.has(name)) return [];
      const fields = changesOf(old.get(name), entry, secrets);
      return fields.length === 0 ? [] : [{ section, name, change: 'changed', fields }];
    });
    const whole = (change: 'added' | 'removed') => (name: string) => ({ section, name, change, fields: [] });
    return [...removed.map(whole('removed')), ...added.map(whole('added')), ...changed];
  });
}

function entriesOf(config: Config, section: Section): ReadonlyMap<string, unknown> {
  return section === 'server' ? new Map([['server', config.server]]) : config[section];
}

function clearSecrets(config: Config): string[] {
  const values = secretPlaces(config).flatMap(({ reference }) =>
    reference.from === 'clear' ? [reference.secret.reveal()] : [],
  );
  return values.filter(isUnmistakable);
}

function changesOf(before: unknown, after: unknown, secrets: readonly string[]): FieldChange[] {
  const [old, now] = [leavesOf(before, secrets), leavesOf(after, secrets)];
  const paths = new Set([...old.keys(), ...now.keys()]);
  return [...paths].flatMap((path): FieldChange[] => {
    const [one, other] = [old.get(path), now.get(path)];
    if (one?.exact === other?.exact) return [];
    return [
      {
        path,
        ...(one === undefined ? {} : { before: one.shown }),
        ...(other === undefined ? {} : { after: other.shown }),
      },
    ];
  });
}

/** `exact` is compared and never leaves this file; `shown` may be read by everybody who may read the configuration. */
interface Leaf {
  readonly exact: string;
  readonly shown: string;
}

function leavesOf(entry: unknown, secrets: readonly string[]): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  gather(entry, [], { leaves, secrets });
  return leaves;
}

interface Gathering {
  readonly leaves: Map<string, Leaf>;
  /** Of the configurations, in the clear: they may stand elsewhere in them, too. */
  readonly secrets: readonly string[];
}

function gather(value: unknown, path: readonly (string | number)[], into: Gathering): void {
  // How a secret is opened is no difference.
  if (value === undefined || typeof value === 'function') return;
  const leaf = leafOf(value, String(path.at(-1)), into.secrets);
  if (leaf) into.leaves.set(formatPath(path), leaf);
  else for (const [key, inner] of partsOf(value as object)) gather(inner, [...path, key], into);
}

/** `undefined` for what has parts of its own. */
function leafOf(value: unknown, key: string, secrets: readonly string[]): Leaf | undefined {
  if (value instanceof Secret) return { exact: `secret ${value.reveal()}`, shown: removedMark };
  if (typeof value === 'object' && value !== null && !isPlainList(value)) return undefined;
  const exact = JSON.stringify(typeof value === 'bigint' ? String(value) : value);
  const isHidden = typeof value === 'string' && namesSecret(key, value);
  return { exact, shown: isHidden ? removedMark : cleanText(exact, secrets) };
}

function partsOf(value: object): Iterable<[string | number, unknown]> {
  if (value instanceof Map) return [...value].map(([key, inner]): [string, unknown] => [String(key), inner]);
  return Array.isArray(value) ? value.entries() : Object.entries(value);
}

/** A list of words is one value for people: `["/etc","/srv"]`. */
function isPlainList(value: object): boolean {
  return Array.isArray(value) && value.every((one) => typeof one !== 'object');
}
