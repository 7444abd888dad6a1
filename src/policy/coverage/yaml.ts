/** What to write into the configuration so that something is covered. */
import type { ServerKind } from './facts.ts';

interface NewSource {
  readonly name: string;
  readonly host: string;
  readonly policy?: string;
}

export function fileSource(driver: 'sqlite' | 'files', path: string, { name, host, policy }: NewSource): string {
  const place = driver === 'sqlite' ? `path: ${quoted(path)}` : `paths: [${quoted(path)}]`;
  return inSources(name, [`driver: ${driver}`, ...onHost(host), place, ...withPolicy(policy)]);
}

export function serverSource(kind: ServerKind, port: number | undefined, { name, host, policy }: NewSource): string {
  return inSources(name, [...serverWords(kind, port), ...onHost(host), ...withPolicy(policy)]);
}

/** With the entry of `hosts:` that reaches into the container. */
export function containerSource(kind: ServerKind, container: string, { name, host, policy }: NewSource): string {
  const on = host === 'local' ? '' : `, on: ${quoted(host)}`;
  const entry = `hosts:\n  ${name}-container: { docker: ${quoted(container)}${on} }\n`;
  const words = [...serverWords(kind, undefined), `host: ${name}-container`, ...withPolicy(policy)];
  return `${entry}${inSources(name, words)}`;
}

function serverWords(kind: ServerKind, port: number | undefined): string[] {
  const at = (usual: number): string => `127.0.0.1:${port ?? usual}`;
  const password = 'password: { file: /path/of/the/password }';
  switch (kind) {
    case 'PostgreSQL':
      return ['driver: postgres', `url: "postgres://holdfast@${at(5432)}"`, 'databases: all', password];
    case 'MySQL or MariaDB':
      return ['driver: mariadb', `url: "mariadb://holdfast@${at(3306)}"`, 'databases: all', password];
    case 'MongoDB':
      return ['driver: mongodb', `url: "mongodb://holdfast@${at(27017)}"`, password];
    case 'Redis':
      return ['driver: redis', `url: "redis://${at(6379)}"`];
  }
}

function inSources(name: string, words: readonly string[]): string {
  return `sources:\n  ${name}: { ${words.join(', ')} }\n`;
}

function onHost(host: string): string[] {
  return host === 'local' ? [] : [`host: ${quoted(host)}`];
}

function withPolicy(policy: string | undefined): string[] {
  return policy === undefined ? [] : [`policy: ${quoted(policy)}`];
}

/** A name that is not taken; it becomes taken. */
export function newName(text: string, taken: Set<string>): string {
  const clean = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  const stem = clean === '' || clean === 'all' || clean === 'latest' ? 'source' : clean;
  let name = stem;
  for (let i = 2; taken.has(name); i++) name = `${stem}-${i}`;
  taken.add(name);
  return name;
}

/** Plain where YAML takes it as it is, else in JSON's quotes, which YAML 1.2 understands. */
function quoted(text: string): string {
  return /^[~/A-Za-z][\w./-]*$/.test(text) ? text : JSON.stringify(text);
}
