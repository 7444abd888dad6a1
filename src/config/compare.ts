/** What is different between two configurations, entry by entry, by what they mean and not by how they are written. */
import { Secret } from '../base/secrets.ts';
import type { Config } from './config.ts';
import { sectionNames } from './load.ts';
import { formatPath } from './problems.ts';
import { removedMark } from './secrets/clean-text.ts';

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
  return sectionNames.flatMap((section) => {
    const [old, now] = [entriesOf(before, section), entriesOf(after, section)];
    const removed = [...old.keys()].filter((name) => !now.has(name));
    const added = [...now.keys()].filter((name) => !old.has(name));
    const changed = [...now].flatMap(([name, entry]): Difference[] => {
      if (!old.has(name)) return [];
      const fields = changesOf(old.get(name), entry);
      return fields.length === 0 ? [] : [{ section, name, change: 'changed', fields }];
    });
    const whole = (change: 'added' | 'removed') => (name: string) => ({ section, name, change, fields: [] });
    return [...removed.map(whole('removed')), ...added.map(whole('added')), ...changed];
  });
}

function entriesOf(config: Config, section: Section): ReadonlyMap<string, unknown> {
  return section === 'server' ? new Map([['server', config.server]]) : config[section];
}

function changesOf(before: unknown, after: unknown): FieldChange[] {
  const [old, now] = [leavesOf(before), leavesOf(after)];
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

function leavesOf(entry: unknown): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  gather(entry, [], leaves);
  return leaves;
}

function gather(value: unknown, path: readonly (string | number)[], into: Map<string, Leaf>): void {
  // How a secret is opened is no difference.
  if (value === undefined || typeof value === 'function') return;
  if (value instanceof Secret) {
    into.set(formatPath(path), { exact: `secret ${value.reveal()}`, shown: removedMark });
  } else if (value instanceof Map) {
    for (const [key, inner] of value) gather(inner, [...path, String(key)], into);
  } else if (typeof value !== 'object' || value === null || isPlainList(value)) {
    const text = JSON.stringify(typeof value === 'bigint' ? String(value) : value);
    into.set(formatPath(path), { exact: text, shown: text });
  } else {
    const entries: Iterable<[string | number, unknown]> = Array.isArray(value)
      ? value.entries()
      : Object.entries(value);
    for (const [key, inner] of entries) gather(inner, [...path, key], into);
  }
}

/** A list of words is one value for people: `["/etc","/srv"]`. */
function isPlainList(value: object): boolean {
  return Array.isArray(value) && value.every((one) => typeof one !== 'object');
}
