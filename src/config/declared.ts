/** Entries that are not in the file: made over the API, or declared by labels of containers. The file wins. */
import { Document, isMap, isPair, isScalar, parseDocument } from 'yaml';
import type { ConfigPath, Problem } from './problems.ts';
import { formatPath } from './problems.ts';
import { parseOptions } from './yaml/parse-options.ts';

export type Origin = 'ui' | 'label';

export interface Declared {
  readonly section: string;
  readonly name: string;
  /** As it would stand in the file. */
  readonly value: unknown;
  readonly origin: Origin;
  /** Where it is from, as messages begin: `made over the API`, `container shop-db-1`. */
  readonly title: string;
  /** What messages call a place in it; absent: its path. */
  readonly placeOf?: (path: ConfigPath) => string;
}

type Values = Readonly<Record<string, unknown>>;

export function keyOf({ section, name }: Pick<Declared, 'section' | 'name'>): string {
  return `${section}/${name}`;
}

/** Those the file says nothing of. */
export function besideFile(value: unknown, declared: readonly Declared[]): { beside: Declared[]; hidden: Declared[] } {
  const beside: Declared[] = [];
  const hidden: Declared[] = [];
  for (const one of declared) (hasEntry(value, one) ? hidden : beside).push(one);
  return { beside, hidden };
}

/** The top level with them in it; a section that is no mapping stays as it is and is reported by who reads it. */
export function withDeclared(value: Values, declared: readonly Declared[]): Values {
  if (declared.length === 0) return value;
  const merged: Record<string, unknown> = { ...value };
  for (const [section, entries] of Map.groupBy(declared, (one) => one.section)) {
    const given = merged[section];
    if (given !== undefined && !isMapping(given)) continue;
    merged[section] = { ...given, ...Object.fromEntries(entries.map((one) => [one.name, one.value])) };
  }
  return merged;
}

/** A finding's place, where it is in one of them. */
export function declaredPlace(
  path: ConfigPath,
  declared: ReadonlyMap<string, Declared>,
): Pick<Problem, 'file' | 'line' | 'column' | 'path'> | undefined {
  const one = path.length < 2 ? undefined : declared.get(`${path[0]}/${path[1]}`);
  if (!one) return undefined;
  return { file: one.title, line: 0, column: 0, path: one.placeOf?.(path) ?? formatPath(path) };
}

/** The text of the whole: the file's with its comments, and the others at the end of their sections. */
export function mergedText(text: string, declared: readonly Declared[]): string {
  if (declared.length === 0) return text;
  const document = parseDocument(text, parseOptions);
  for (const [section, entries] of Map.groupBy(declared, (one) => one.section)) {
    const given = document.get(section, true);
    if (isMap(given)) {
      // Not `set`, which looks through all of them: none of these is there yet.
      for (const { name, value } of entries) given.items.push(document.createPair(name, value));
      continue;
    }
    const written = Object.fromEntries(entries.map((one) => [one.name, one.value]));
    document.set(section, { ...asMapping(document.toJS()[section]), ...written });
  }
  for (const pair of isMap(document.contents) ? document.contents.items : []) {
    if (isPair(pair) && isScalar(pair.key) && isMap(pair.value)) pair.value.flow = false;
  }
  return document.toString({ lineWidth: 0 });
}

/** A configuration of nothing but these. */
export function declaredText(declared: readonly Declared[]): string {
  return new Document(withDeclared({}, declared)).toString({ lineWidth: 0 });
}

function hasEntry(value: unknown, { section, name }: Declared): boolean {
  if (!isMapping(value)) return false;
  const entries = value[section];
  return isMapping(entries) && Object.hasOwn(entries, name);
}

function asMapping(value: unknown): Values {
  return isMapping(value) ? value : {};
}

function isMapping(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
