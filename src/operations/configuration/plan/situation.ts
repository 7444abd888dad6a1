/** What the words of a plan are drawn from: both configurations, and how many snapshots lie where. */
import type { Catalogue } from '../../../catalogue/open.ts';
import type { Config, PolicyEntry, SourceEntry } from '../../../config/index.ts';

export interface Situation {
  readonly before: Config;
  readonly after: Config;
  /** Of a source in a repository, as far as is known. */
  snapshotsIn(repository: string, source?: string): number | undefined;
}

/** `note`: good to know · `warning`: something is less safe, or will be removed · `danger`: hardly what was meant. */
export type Level = 'note' | 'warning' | 'danger';

export interface Consequence {
  readonly level: Level;
  readonly text: string;
}

export const note = (text: string): Consequence => ({ level: 'note', text });
export const warning = (text: string): Consequence => ({ level: 'warning', text });
export const danger = (text: string): Consequence => ({ level: 'danger', text });

export async function situationOf(before: Config, after: Config, catalogue?: Catalogue): Promise<Situation> {
  const counts = new Map<string, number>();
  const rows = catalogue
    ? await catalogue.db.selectFrom('sourceState').select(['repository', 'source', 'snapshots']).execute()
    : [];
  for (const { repository, source, snapshots } of rows) {
    for (const key of [repository, `${repository} ${source}`]) counts.set(key, (counts.get(key) ?? 0) + snapshots);
  }
  const known = new Set(rows.map((row) => row.repository));
  return {
    before,
    after,
    snapshotsIn(repository, source) {
      const found = counts.get(source === undefined ? repository : `${repository} ${source}`);
      return found ?? (known.has(repository) ? 0 : undefined);
    },
  };
}

/** `its 31 snapshots in nas`; `its snapshots in nas` where nobody counted. */
export function itsSnapshots(situation: Situation, repository: string, source: string): string {
  const count = situation.snapshotsIn(repository, source);
  if (count === undefined) return `its snapshots in ${repository}`;
  return count === 1 ? `its one snapshot in ${repository}` : `its ${count} snapshots in ${repository}`;
}

/** The same of several repositories, and that they stay there. */
export function stayingIn(situation: Situation, repositories: readonly string[], source: string): string {
  const places = repositories.map((one) => itsSnapshots(situation, one, source)).join(', ');
  const isOne = repositories.length === 1 && situation.snapshotsIn(repositories[0], source) === 1;
  return isOne ? `${places} stays where it is and is not removed` : `${places} stay where they are and are not removed`;
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? `one ${one}` : `${count} ${many}`;
}

/** `3 sources (shop, wiki and one more)`. */
export function sourcesText(names: readonly string[]): string {
  const shown = names.slice(0, 3);
  const more = names.length - shown.length;
  const list = more > 0 ? `${shown.join(', ')} and ${counted(more, 'more', 'more')}` : shown.join(', ');
  return `${counted(names.length, 'source')} (${list})`;
}

export function sourcesOf(config: Config, policy: string): SourceEntry[] {
  return [...config.sources.values()].filter((source) => source.policy === policy);
}

/** `every 6h`, `at «0 2 * * *»`. */
export function timesOf(policy: Pick<PolicyEntry, 'schedule' | 'everyMs' | 'after'> | undefined): string | undefined {
  if (policy?.schedule !== undefined) return `at «${policy.schedule}»`;
  if (policy?.everyMs !== undefined) return `every ${policy.everyMs / 60_000} minutes`;
  return policy && policy.after.length > 0 ? `after ${policy.after.join(', ')}` : undefined;
}
