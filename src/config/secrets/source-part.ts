/**
 * The part of a configuration that one source needs, for a program on another machine: the source, its policy's repositories,
 * and the hosts on its way. Secrets are taken out of it; each becomes `{ env: HOLDFAST_SECRET_n }`, and whoever sends the part
 * sends their values beside it. JSON, which is YAML.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { SecretReference } from '../../base/secret-reference.ts';
import type { Config } from '../config.ts';
import { parseConfig } from '../load.ts';
import { type ConfigPath, formatPath } from '../problems.ts';
import type { Known } from '../reading.ts';
import { readYaml } from '../yaml/yaml-document.ts';
import { secretPlaces } from './secret-places.ts';

export interface SourcePart {
  readonly text: string;
  /** What each variable in it stands for, and the setting's path in the whole. */
  readonly secrets: readonly {
    readonly variable: string;
    readonly path: string;
    readonly reference: SecretReference;
  }[];
}

export interface PartRequest {
  /** Names of sources, all on the same machine. */
  readonly sources: readonly string[];
  /** The entry of `hosts:` that is the machine the part is for: there it is «this machine». */
  readonly machine: string;
  /** Repositories beyond those of the sources. */
  readonly repositories?: readonly string[];
}

type Values = Readonly<Record<string, unknown>>;

/** What says when something is done, and who may see it, is nobody's business there. */
const platformKeys: Readonly<Record<string, readonly string[]>> = {
  repositories: ['workspace', 'prune', 'check'],
  sources: ['workspace'],
};

/** `config.invalid` if it cannot be shown that no secret is left in it. */
export function sourcePart(config: Config, known: Known, request: PartRequest): SourcePart {
  const whole = writtenIn(config);
  const sources = request.sources.flatMap((name) => config.sources.get(name) ?? []);
  const repositories = new Set([
    ...sources.flatMap((one) => one.placements.map(({ repository }) => repository)),
    ...(request.repositories ?? []),
  ]);
  const policies = sources.flatMap(({ policy }) => policy ?? []);
  const hosts = sources.flatMap(({ host }) => wayTo(host, config, request.machine));
  const references = known.hostKinds.flatMap((kind) => kind.references ?? []);
  const there = (keys: readonly string[]) => (value: unknown) => without(value, keys, request.machine);
  const part = {
    repositories: entries(whole, 'repositories', repositories),
    hosts: mapped(entries(whole, 'hosts', hosts), there(references)),
    policies: mapped(entries(whole, 'policies', policies), onlyRepositories),
    sources: mapped(entries(whole, 'sources', request.sources), there(['host'])),
  };
  const filled = Object.fromEntries(Object.entries(part).filter(([, value]) => Object.keys(value).length > 0));
  return requireClean(takeSecrets(filled, config), known);
}

function writtenIn({ bytes = new Uint8Array() }: Config): Values {
  const document = readYaml(bytes);
  return 'locate' in document ? (document.value as Values) : {};
}

function entries(whole: Values, section: string, names: Iterable<string>): Values {
  const given = (whole[section] ?? {}) as Values;
  const left = platformKeys[section] ?? [];
  const wanted = [...new Set(names)].filter((name) => Object.hasOwn(given, name));
  return Object.fromEntries(wanted.map((name) => [name, pick(given[name], (key) => !left.includes(key))]));
}

/** And how long what is in them stays; when something is drilled there is decided here. */
function onlyRepositories(policy: unknown): unknown {
  const { repositories } = policy as { readonly repositories?: unknown };
  if (!Array.isArray(repositories)) return pick(policy, (key) => key === 'repositories');
  const places = repositories.map((one: unknown) =>
    typeof one === 'object' && one !== null ? pick(one, (key) => key !== 'drill') : one,
  );
  return { repositories: places };
}

/** There, the machine is the one that reads it: nothing leads to it. Other settings may hold the same word, like a repository's name. */
function without(value: unknown, keys: readonly string[], machine: string): unknown {
  return pick(value, (key, inner) => !(keys.includes(key) && inner === machine));
}

function mapped(values: Values, change: (value: unknown) => unknown): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}

function pick(value: unknown, wanted: (key: string, inner: unknown) => boolean): unknown {
  return Object.fromEntries(Object.entries(value as Values).filter(([key, inner]) => wanted(key, inner)));
}

/** The entries of `hosts:` between a source and the machine, both ends but the machine. */
function wayTo(host: string, { hosts }: Config, machine: string): string[] {
  const found = new Set<string>();
  for (const waiting = [host]; waiting.length > 0; ) {
    const one = hosts.get(waiting.pop()!);
    if (!one || one.name === machine || found.has(one.name)) continue;
    found.add(one.name);
    waiting.push(...one.references);
  }
  return [...found];
}

function takeSecrets(part: Values, config: Config): SourcePart {
  const places = new Map(secretPlaces(config).map(({ path, reference }) => [path, reference]));
  const secrets: { variable: string; path: string; reference: SecretReference }[] = [];
  const replaced = (value: unknown, path: ConfigPath): unknown => {
    const shown = formatPath(path);
    const reference = places.get(shown);
    if (reference) {
      const variable = `HOLDFAST_SECRET_${secrets.length + 1}`;
      secrets.push({ variable, path: shown, reference });
      return { env: variable };
    }
    if (Array.isArray(value)) return value.map((inner, i) => replaced(inner, [...path, i]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaced(inner, [...path, key])]));
  };
  const text = JSON.stringify(replaced(part, []), null, 1);
  return { text, secrets };
}

/** It is a configuration, and every secret in it is one of those that were taken out. */
function requireClean(part: SourcePart, known: Known): SourcePart {
  const again = parseConfig('/holdfast.yaml', Buffer.from(part.text), known, { shown: 'the part for an agent' });
  const taken = new Set(part.secrets.map(({ variable }) => variable));
  const places = secretPlaces(again);
  const left = places.find(({ reference }) => reference.from !== 'env' || !taken.has(reference.name));
  if (!left && places.length === taken.size) return part;
  throw new HoldfastError({
    code: 'config.invalid',
    message: `the secret at ${left?.path ?? 'one place'} cannot be taken out of what an agent is sent`,
    remedy: 'Write it as { env: NAME } or { file: /path } directly at this setting.',
  });
}
