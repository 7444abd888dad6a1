/** Reads `holdfast.yaml` and reports everything that is wrong with it at once. Memory: the file, at most 4 MiB. */
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HoldfastError, messageOf, systemCode } from '../base/errors.ts';
import type { Config } from './config.ts';
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
  return parseConfig(file, await readConfigFile(file, path), known, path);
}

/** The same for a text in memory; `shown` is how messages name the file. */
export function parseConfig(file: string, bytes: Uint8Array, known: Known, shown: string = file): Config {
  const document = readYaml(bytes);
  if (!('locate' in document)) {
    throw new ConfigError(
      shown,
      document.map((one) => ({ level: 'error', file: shown, path: '', ...one })),
    );
  }
  const problems: Problem[] = [];
  const reading = startReading(document, known, { folder: dirname(file), shown, problems });
  const config = {
    file,
    bytes,
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
  const errors = problems.filter((problem) => problem.level === 'error');
  if (errors.length > 0) throw new ConfigError(shown, inOrder(problems));
  return { ...config, warnings: inOrder(problems) };
}

function startReading(
  document: PositionedDocument,
  known: Known,
  at: { folder: string; shown: string; problems: Problem[] },
): Reading {
  const problem: Reading['problem'] = ({ path, part, message, remedy }, level = 'error', kind) => {
    const place = document.locate(path, part);
    at.problems.push({ level, kind, file: at.shown, ...place, path: formatPath(path), message, remedy });
  };
  const value = topLevel(document.value, problem);
  return {
    ...known,
    folder: at.folder,
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

async function readConfigFile(file: string, shown: string): Promise<Uint8Array> {
  try {
    await using handle = await open(file, 'r');
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
