/** One name that must be an entry of another section. */
import { defaultWorkspace } from '../model/principal.ts';
import type { ConfigPath } from './problems.ts';
import type { Reading } from './reading.ts';
import { valueAt } from './schema-issues.ts';
import { suggestion } from './suggest.ts';

const nouns: Readonly<Record<string, string>> = {
  repositories: 'repository',
  hosts: 'host',
  policies: 'policy',
  sources: 'source',
  workspaces: 'workspace',
};

/** An entry that is there but wrong was reported already: only names that are nowhere in the file are unknown. */
export function refer(reading: Reading, section: string, name: string, path: ConfigPath): void {
  if (section === 'workspaces' && name === defaultWorkspace) return;
  const given = reading.value[section];
  const entries = typeof given === 'object' && given !== null ? given : {};
  if (Object.hasOwn(entries, name)) return;
  const noun = nouns[section] ?? section;
  const remedy = remedyFor(entries, { section, name, noun });
  reading.problem({ path, part: 'value', message: `names the ${noun} «${name}», which is not declared`, remedy });
}

const remedies = new WeakMap<object, Map<string, string>>();

/** The nearest name is looked for once, however often a wrong one is written. */
function remedyFor(entries: object, { section, name, noun }: { section: string; name: string; noun: string }): string {
  const known = remedies.get(entries) ?? new Map<string, string>();
  remedies.set(entries, known);
  const names = Object.keys(entries);
  const remedy =
    known.get(name) ?? (names.length === 0 ? `Declare it under «${section}:».` : suggestion(name, names, noun));
  known.set(name, remedy);
  return remedy;
}

/** One that was written alone, or a list of them, each once. */
export function referToEach(
  reading: Reading,
  section: string,
  { named, path }: { readonly named: readonly string[]; readonly path: ConfigPath },
): void {
  const seen = new Set<string>();
  const isList = Array.isArray(valueAt(reading.value, path));
  for (const [i, name] of named.entries()) {
    const at = isList ? [...path, i] : path;
    refer(reading, section, name, at);
    if (seen.has(name)) {
      const message = `names the ${nouns[section] ?? section} «${name}» twice`;
      reading.problem({ path: at, part: 'value', message, remedy: 'Keep one of the two entries.' });
    }
    seen.add(name);
  }
}
