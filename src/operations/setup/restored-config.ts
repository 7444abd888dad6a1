/** A configuration out of a repository: as it was stored, with the address the repository has now. */
import { dirname } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { type Config, type Known, parseConfig, replaceValue } from '../../config/index.ts';
import { parseFacts, type StateFacts } from '../backup/state-files.ts';

export interface RestoredConfig {
  readonly text: string;
  /** What the open repository is called in it. */
  readonly name: string;
  readonly facts?: StateFacts;
  /** Absent if this version cannot read it; why is in the notes. */
  readonly config?: Config;
  readonly notes: readonly string[];
}

/** `file`: where it will be; `url`: how the repository was opened here. */
export function configFromState(
  files: ReadonlyMap<string, Uint8Array>,
  { file, url }: { readonly file: string; readonly url: string },
  known: Known,
): RestoredConfig {
  const facts = parseFacts(files.get('state.json'));
  const stored = Buffer.from(files.get('holdfast.yaml') ?? []).toString('utf8');
  const { name } = facts.repository;
  const before = parsed(facts.configFile, stored, known);
  const here = parsed(file, stored, known);
  if (typeof here === 'string' || typeof before === 'string') {
    return { text: stored, name, facts, notes: [`this version cannot read it as it is: ${here}`] };
  }
  const written = here.repositories.get(name)?.url;
  const moved = written !== undefined && !isSamePlace(written, url);
  const text = moved ? (replaceValue(stored, ['repositories', name, 'url'], url) ?? stored) : stored;
  const config = moved ? parsed(file, text, known) : here;
  if (typeof config === 'string') return { text: stored, name, facts, notes: [config] };
  return { text, name, facts, config, notes: [...moveNotes(config, before, name), ...addressNotes(moved, name, url)] };
}

function parsed(file: string, text: string, known: Known): Config | string {
  try {
    return parseConfig(file, Buffer.from(text), known);
  } catch (error) {
    return messageOf(error);
  }
}

function addressNotes(moved: boolean, name: string, url: string): string[] {
  if (!moved) return [];
  return [`the repository ${name} is at another address now: its url was set to ${withoutUser(url)}`];
}

/** Relative paths begin at the file's folder: in another folder they mean something else. */
function moveNotes(here: Config, before: Config, name: string): string[] {
  const settings = (config: Config): string =>
    JSON.stringify([
      [...config.sources.values()].map((one) => one.settings),
      [...config.repositories.values()].filter((one) => one.name !== name).map((one) => one.url),
    ]);
  if (settings(here) === settings(before)) return [];
  return [`it has relative paths, which began at ${dirname(before.file)} and now begin at ${dirname(here.file)}`];
}

function isSamePlace(one: string, other: string): boolean {
  const plain = (url: string): string =>
    withoutUser(url)
      .replace(/^file:\/\/|^local:/, '')
      .replace(/\/+$/, '');
  return plain(one) === plain(other);
}

/** The user and password of http addresses; those of others name a person's folder on a server. */
function withoutUser(url: string): string {
  return url.replace(/(https?:\/\/)[^/@]*@/i, '$1');
}
