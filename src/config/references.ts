/** Every name in one section that means an entry of another must be there; what a source inherits is filled in. */
import type { Config, Placement, PolicyEntry, SourceEntry } from './config.ts';
import { localHost } from './config.ts';
import type { ConfigPath } from './problems.ts';
import type { Reading } from './reading.ts';
import { suggestion } from './suggest.ts';

type Sections = Omit<Config, 'warnings' | 'sources' | 'policies'> & {
  readonly policies: Map<string, PolicyEntry>;
  readonly sources: Map<string, SourceEntry>;
};

/** Reports unknown references and resolves where each source is stored, in place. */
export function checkReferences(config: Sections, reading: Reading): void {
  for (const policy of config.policies.values()) checkPolicy(policy, reading);
  for (const host of config.hosts.values()) {
    for (const other of host.references) refer(reading, 'hosts', other, ['hosts', host.name]);
    if (leadsBack(host.name, config.hosts)) {
      const remedy = 'Let one of them be reached without the other.';
      const message = 'is reached through itself, which leads nowhere';
      reading.problem({ path: ['hosts', host.name], part: 'key', message, remedy });
    }
  }
  for (const source of config.sources.values()) config.sources.set(source.name, resolveSource(source, config, reading));
  checkLoose(reading);
}

function leadsBack(name: string, hosts: Sections['hosts']): boolean {
  const seen = new Set<string>();
  for (const waiting = [name]; waiting.length > 0; ) {
    for (const other of hosts.get(waiting.pop()!)?.references ?? []) {
      if (other === name) return true;
      if (!seen.has(other)) waiting.push(other);
      seen.add(other);
    }
  }
  return false;
}

function checkPolicy(policy: PolicyEntry, reading: Reading): void {
  const seen = new Set<string>();
  for (const [i, { repository }] of policy.placements.entries()) {
    const path = ['policies', policy.name, 'repositories', i];
    refer(reading, 'repositories', repository, path);
    if (seen.has(repository)) {
      const remedy = 'Keep one of the two entries.';
      reading.problem({ path, part: 'value', message: `names the repository «${repository}» twice`, remedy });
    }
    seen.add(repository);
  }
}

function resolveSource(source: SourceEntry, config: Sections, reading: Reading): SourceEntry {
  const path = ['sources', source.name];
  if (source.host !== localHost) refer(reading, 'hosts', source.host, [...path, 'host']);
  if (source.policy !== undefined) refer(reading, 'policies', source.policy, [...path, 'policy']);
  for (const { repository } of source.placements) refer(reading, 'repositories', repository, [...path, 'repository']);
  if (source.policy === undefined && source.placements.length === 0) {
    const remedy = 'Add «policy: NAME» or «repository: NAME».';
    reading.problem({
      path,
      part: 'key',
      message: 'is stored nowhere: it has neither a policy nor a repository',
      remedy,
    });
  }
  const inherited = config.policies.get(source.policy ?? '')?.placements ?? [];
  const chosen = source.placements.length > 0 ? source.placements : inherited;
  const placements = chosen.map(({ repository, keep }): Placement => {
    const byPolicy = inherited.find((one) => one.repository === repository)?.keep;
    return { repository, keep: keep ?? byPolicy ?? config.repositories.get(repository)?.keep };
  });
  return { ...source, placements };
}

/** An entry that is there but wrong was reported already: only names that are nowhere in the file are unknown. */
function refer(reading: Reading, section: string, name: string, path: ConfigPath): void {
  const entries = reading.value[section];
  const names = typeof entries === 'object' && entries !== null ? Object.keys(entries) : [];
  if (names.includes(name)) return;
  const noun = { repositories: 'repository', hosts: 'host', policies: 'policy' }[section] ?? section;
  const remedy = names.length === 0 ? `Declare it under «${section}:».` : suggestion(name, names, noun);
  reading.problem({ path, part: 'value', message: `names the ${noun} «${name}», which is not declared`, remedy });
}

function checkLoose(reading: Reading): void {
  const uses = { notifications: 'sends none yet', users: 'has no sign-in yet' };
  for (const [section, state] of Object.entries(uses)) {
    const value = reading.value[section];
    if (value === undefined) continue;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      reading.problem({
        path: [section],
        part: 'key',
        message: 'must be a mapping of names',
        remedy: `Write names below it, or remove «${section}:».`,
      });
    } else {
      const remedy = 'It is accepted as it is and has no effect.';
      reading.problem(
        { path: [section], part: 'key', message: `is not used: this version ${state}`, remedy },
        'warning',
      );
    }
  }
}
