/** Reads `holdfast.yaml` and reports everything that is wrong with it at once. Memory: the file, at most 4 MiB. */
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HoldfastError, messageOf, systemCode } from '../base/errors.ts';
import type { Config } from './config.ts';
import { besideFile, type Declared, declaredPlace, keyOf, mergedText, withDeclared } from './declared.ts';
import { ConfigError, formatPath, type Problem } from './problems.ts';
import type { Known, Reading } from './reading.ts';
import { checkReferences } from './references.ts';
import { findingsOf, unknownKey } from './schema-issues.ts';
import { readHosts } from './sections/hosts.ts';
import { readNotifications } from './sections/notifications.ts';
import { readUsers, readWorkspaces } from './sections/people.ts';
import { readPolicies } from './sections/policies.ts';
import { readRepositories } from './sections/repositories.ts';
import { readRestores } from './sections/restores.ts';
import { readServer } from './sections/server.ts';
import { readSources } from './sections/sources.ts';
import { mostConfigBytes, type PositionedDocument, readYaml } from './yaml/yaml-document.ts';

export const sectionNames = [
  'server',
  'repositories',
  'hosts',
  'policies',
  'sources',
  'restores',
  'notifications',
  'workspaces',
  'users',
] as const;

/** `config.missing`; `config.invalid` (a ConfigError) with every problem. */
export async function loadConfig(path: string, known: Known): Promise<Config> {
  const file = resolve(path);
  return parseConfig(file, await readConfigFile(path), known, { shown: path });
}

export interface ParseOptions {
  /** How messages name the file. */
  readonly shown?: string;
  /**
   * Entries from elsewhere, under the file's. One of them that is wrong, or refers to nothing, is left out and told of in
   * `leftOut`: it never keeps the file from being used.
   */
  readonly declared?: readonly Declared[];
}

/** The same for a text in memory. */
export function parseConfig(
  file: string,
  bytes: Uint8Array,
  known: Known,
  { shown = file, declared = [] }: ParseOptions = {},
): Config {
  const document = readYaml(bytes);
  if (!('locate' in document)) {
    throw new ConfigError(
      shown,
      document.map((one) => ({ level: 'error', file: shown, path: '', ...one })),
    );
  }
  const { beside, hidden } = besideFile(document.value, declared);
  const leftOut: Problem[] = [];
  for (let used = beside; ; ) {
    const { config, problems } = readOnce(document, known, { file, shown, declared: used });
    const strange = new Map(used.map((one) => [keyOf(one), one]));
    const errors = problems.filter((problem) => problem.level === 'error');
    const faulty = new Set(errors.flatMap(({ entry }) => (entry !== undefined && strange.has(entry) ? [entry] : [])));
    if (faulty.size === 0) {
      const found = inOrder(problems.map(({ problem }) => problem));
      if (errors.length > 0) throw new ConfigError(shown, found);
      const warnings = [...found, ...hidden.map((one) => hiddenWarning(one, document, shown))];
      return { ...config, ...provenance(bytes, used), warnings, leftOut };
    }
    leftOut.push(
      ...errors.filter(({ entry }) => entry !== undefined && faulty.has(entry)).map(({ problem }) => problem),
    );
    used = used.filter((one) => !faulty.has(keyOf(one)));
  }
}

/** A problem, and the entry it is about. */
interface Found {
  readonly level: Problem['level'];
  readonly entry?: string;
  readonly problem: Problem;
}

interface Place {
  readonly file: string;
  readonly shown: string;
  readonly declared: readonly Declared[];
}

function readOnce(
  document: PositionedDocument,
  known: Known,
  at: Place,
): { config: Omit<Config, 'warnings' | 'leftOut' | 'origins'>; problems: Found[] } {
  const problems: Found[] = [];
  const reading = startReading(document, known, { ...at, problems });
  const { file } = at;
  const config = {
    file,
    repositories: readRepositories(reading),
    hosts: readHosts(reading),
    policies: readPolicies(reading),
    sources: readSources(reading),
    restores: readRestores(reading),
    notifications: readNotifications(reading),
    workspaces: readWorkspaces(reading),
    users: readUsers(reading),
    server: readServer(reading),
  };
  checkReferences(config, reading);
  return { config, problems };
}

/** What it was made of: the bytes of the whole, and where what is not in the file is from. */
function provenance(bytes: Uint8Array, declared: readonly Declared[]): Pick<Config, 'bytes' | 'origins'> {
  const origins = new Map(declared.map((one) => [keyOf(one), one.origin]));
  if (declared.length === 0) return { bytes, origins };
  return { bytes: Buffer.from(mergedText(new TextDecoder('utf-8').decode(bytes), declared)), origins };
}

function hiddenWarning(one: Declared, document: PositionedDocument, shown: string): Problem {
  const path = [one.section, one.name];
  return {
    level: 'warning',
    file: shown,
    ...document.locate(path, 'key'),
    path: formatPath(path),
    message: `is also ${one.title}, which counts for nothing beside the file`,
    remedy: 'Remove one of the two.',
  };
}

function startReading(document: PositionedDocument, known: Known, at: Place & { problems: Found[] }): Reading {
  const strange = new Map(at.declared.map((one) => [keyOf(one), one]));
  const problem: Reading['problem'] = ({ path, part, message, remedy }, level = 'error', kind) => {
    const place = declaredPlace(path, strange) ?? {
      file: at.shown,
      ...document.locate(path, part),
      path: formatPath(path),
    };
    const entry = path.length < 2 ? undefined : `${path[0]}/${path[1]}`;
    at.problems.push({ level, entry, problem: { level, kind, ...place, message, remedy } });
  };
  const value = withDeclared(topLevel(document.value, problem), at.declared);
  return {
    ...known,
    folder: dirname(at.file),
    value,
    problem,
    check(schema, given, path) {
      const result = schema.safeParse(given);
      if (result.success) return result.data;
      for (const finding of findingsOf(result.error.issues, schema, path, given)) problem(finding);
      return undefined;
    },
  };
}

function topLevel(value: unknown, problem: Reading['problem']): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const message =
      value === null || value === undefined ? 'the file is empty' : 'the file is not a mapping of sections';
    problem({ path: [], part: 'value', message, remedy: 'Write one with: holdfast init' });
    return {};
  }
  for (const key of Object.keys(value)) {
    // As in Compose files: x-… is for the writer's own anchors.
    if ((sectionNames as readonly string[]).includes(key) || key.startsWith('x-')) continue;
    problem(unknownKey([key], key, sectionNames));
  }
  return value as Readonly<Record<string, unknown>>;
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/** Its bytes; one more than is allowed of a file that is too large. `config.missing`. */
export async function readConfigFile(shown: string): Promise<Uint8Array> {
  try {
    await using handle = await open(resolve(shown), 'r');
    const buffer = Buffer.alloc(Math.min((await handle.stat()).size, mostConfigBytes) + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') {
      throw new HoldfastError({
        code: 'config.missing',
        message: `there is no configuration file ${shown}`,
        remedy: 'Name one with --config FILE, or write one with: holdfast init',
        cause,
      });
    }
    throw new HoldfastError({
      code: 'config.missing',
      message: `the configuration file ${shown} cannot be read: ${messageOf(cause)}`,
      remedy: 'Check the path and that this user may read it.',
      cause,
    });
  }
}
