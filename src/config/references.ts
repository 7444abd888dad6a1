/** Every name in one section that means an entry of another must be there; what a source inherits is filled in. */
import type { Config, Placement, PolicyEntry, SourceEntry } from './config.ts';
import { localHost } from './config.ts';
import { checkPlatformReferences } from './platform-references.ts';
import type { Reading } from './reading.ts';
import { refer, referToEach } from './refer.ts';

export type Sections = Omit<Config, 'warnings' | 'sources' | 'policies' | 'leftOut' | 'origins'> & {
  readonly policies: Map<string, PolicyEntry>;
  readonly sources: Map<string, SourceEntry>;
};

/** Reports unknown references and resolves where each source is stored, in place. */
export function checkReferences(config: Sections, reading: Reading): void {
  for (const { name, workspace } of config.repositories.values()) {
    refer(reading, 'workspaces', workspace, ['repositories', name, 'workspace']);
  }
  for (const policy of config.policies.values()) checkPolicy(policy, reading);
  checkCircles(
    { section: 'policies', message: 'comes after itself, so it would never begin', remedy: 'Take one «after» away.' },
    new Map([...config.policies.values()].map(({ name, after }) => [name, after])),
    reading,
  );
  for (const host of config.hosts.values()) {
    for (const other of host.references) refer(reading, 'hosts', other, ['hosts', host.name]);
  }
  checkCircles(
    {
      section: 'hosts',
      message: 'is reached through itself, which leads nowhere',
      remedy: 'Let one of them be reached without the other.',
    },
    new Map([...config.hosts.values()].map(({ name, references }) => [name, references])),
    reading,
  );
  for (const source of config.sources.values()) config.sources.set(source.name, resolveSource(source, config, reading));
  checkPlatformReferences(config, reading);
}

/** Reports every entry that leads to itself over the others. */
function checkCircles(
  words: { readonly section: string; readonly message: string; readonly remedy: string },
  leadsTo: ReadonlyMap<string, readonly string[]>,
  reading: Reading,
): void {
  for (const name of leadsTo.keys()) {
    if (!leadsBack(name, leadsTo)) continue;
    const { section, message, remedy } = words;
    reading.problem({ path: [section, name], part: 'key', message, remedy });
  }
}

function leadsBack(name: string, leadsTo: ReadonlyMap<string, readonly string[]>): boolean {
  const seen = new Set<string>();
  for (const waiting = [name]; waiting.length > 0; ) {
    for (const other of leadsTo.get(waiting.pop()!) ?? []) {
      if (other === name) return true;
      if (!seen.has(other)) waiting.push(other);
      seen.add(other);
    }
  }
  return false;
}

function checkPolicy(policy: PolicyEntry, reading: Reading): void {
  const path = ['policies', policy.name];
  referToEach(reading, 'repositories', {
    named: policy.placements.map((one) => one.repository),
    path: [...path, 'repositories'],
  });
  referToEach(reading, 'policies', { named: policy.after, path: [...path, 'after'] });
  referToEach(reading, 'policies', { named: policy.drill?.after ?? [], path: [...path, 'drill', 'after'] });
  refer(reading, 'workspaces', policy.workspace, [...path, 'workspace']);
}

function resolveSource(source: SourceEntry, config: Sections, reading: Reading): SourceEntry {
  const path = ['sources', source.name];
  if (source.host !== localHost) refer(reading, 'hosts', source.host, [...path, 'host']);
  if (source.policy !== undefined) refer(reading, 'policies', source.policy, [...path, 'policy']);
  refer(reading, 'workspaces', source.workspace, [...path, 'workspace']);
  for (const { repository } of source.placements) refer(reading, 'repositories', repository, [...path, 'repository']);
  if (source.policy === undefined && source.placements.length === 0) {
    const remedy = 'Add «policy: NAME» or «repository: NAME».';
    const message = 'is stored nowhere: it has neither a policy nor a repository';
    reading.problem({ path, part: 'key', message, remedy });
  }
  const inherited = config.policies.get(source.policy ?? '')?.placements ?? [];
  const chosen = source.placements.length > 0 ? source.placements : inherited;
  const placements = chosen.map(({ repository, keep, drill }): Placement => {
    const byPolicy = inherited.find((one) => one.repository === repository);
    const kept = keep ?? byPolicy?.keep ?? config.repositories.get(repository)?.keep;
    return { repository, keep: kept, drill: drill ?? byPolicy?.drill };
  });
  checkReach({ ...source, placements }, config, reading);
  return { ...source, placements };
}

/** What is performed on another machine finds that machine's folders, not those of this one. */
function checkReach({ name, host, placements }: SourceEntry, config: Sections, reading: Reading): void {
  const there = performingHost(host, config.hosts, reading.hostKinds);
  if (there === undefined) return;
  for (const { repository } of placements) {
    const url = config.repositories.get(repository)?.url;
    if (url === undefined || /^[a-z][a-z0-9+.-]*:/i.test(url)) continue;
    const message = `is stored by the agent on «${there}», for which ${url} of the repository «${repository}» is a folder over there`;
    const remedy =
      'Use a repository that both reach (sftp:, rest:, s3:, …), or mount the same storage there at this path.';
    reading.problem({ path: ['sources', name], part: 'key', message, remedy }, 'warning');
  }
}

/** The entry of `hosts:` whose machine performs runs of a source on `host` itself, if there is one on the way to it. */
export function performingHost(host: string, hosts: Config['hosts'], kinds: Reading['hostKinds']): string | undefined {
  const seen = new Set<string>();
  for (const waiting = [host]; waiting.length > 0; ) {
    const one = hosts.get(waiting.pop()!);
    if (!one || seen.has(one.name)) continue;
    seen.add(one.name);
    if (kinds.find((kind) => kind.name === one.kind)?.performsThere) return one.name;
    waiting.push(...one.references);
  }
  return undefined;
}
