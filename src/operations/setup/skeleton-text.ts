/** A first configuration from the snapshots of a repository that holds none: what they say of where they came from. */
import { basename } from 'node:path';
import type { SecretReference } from '../../config/index.ts';
import type { AnyDriver } from '../../drivers/driver.ts';
import { driverOf, isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { groupOf } from '../../policy/protection.ts';
import { placeOf } from '../configuration/secret-needs.ts';
import { slug } from './init-text.ts';

export interface SkeletonFacts {
  readonly name: string;
  readonly url: string;
  readonly password: SecretReference;
  /** Oldest first. */
  readonly snapshots: readonly StoredSnapshot[];
  readonly drivers: readonly AnyDriver[];
  /** Of this machine. */
  readonly hostname: string;
}

export function skeletonText(facts: SkeletonFacts): string {
  const { name, url, password } = facts;
  return [
    '# Written from what the snapshots in the repository say of where they came from: it held no configuration. Complete it,',
    '# then check it with: holdfast validate',
    '',
    'repositories:',
    `  ${name}:`,
    `    url: ${JSON.stringify(url)}`,
    `    password: { ${password.from}: ${JSON.stringify(placeOf(password))} }`,
    '',
    'policies:',
    '  nightly:',
    '    schedule: "0 2 * * *"',
    '    repositories:',
    `      - { name: ${name}, keep: { last: 3, daily: 7, weekly: 4, monthly: 12 } }`,
    '    drill: { schedule: "0 6 * * 0" }',
    '',
    ...sourceLines(facts),
    '',
  ].join('\n');
}

function sourceLines(facts: SkeletonFacts): string[] {
  const groups = [
    ...Map.groupBy(
      facts.snapshots.filter((one) => !isState(one)),
      groupOf,
    ).values(),
  ];
  const taken = new Set(['latest', 'all', ...groups.flatMap((group) => sourceOf(group[0]) ?? [])]);
  const home = homeOf(facts);
  const entries = groups.map((group) => entryOf(group.at(-1)!, group.length, { ...facts, taken, home }));
  const active = entries.filter((one) => one.active);
  const lines = (chosen: typeof entries): string[] => chosen.flatMap((one) => [`  # ${one.about}`, one.line]);
  const inactive = lines(entries.filter((one) => !one.active));
  if (active.length === 0) return ['# sources:', ...inactive.map((line) => `# ${line.trim().replace(/^# /, '')}`)];
  return ['sources:', ...lines(active), ...inactive];
}

/** The host whose sources are active: this one, else the one that stored last. */
function homeOf({ snapshots, hostname }: SkeletonFacts): string | undefined {
  const known = snapshots.some((one) => one.hostname === hostname);
  return known ? hostname : snapshots.findLast((one) => !isState(one))?.hostname;
}

function entryOf(
  newest: StoredSnapshot,
  count: number,
  facts: SkeletonFacts & { readonly taken: Set<string>; readonly home: string | undefined },
): { active: boolean; about: string; line: string } {
  const driver = driverOf(newest) ?? 'files';
  const name = sourceOf(newest) ?? nameFor(newest, facts.taken);
  const settings = settingsFor(
    newest,
    facts.drivers.find((one) => one.name === driver),
  );
  const active = settings !== undefined && newest.hostname === facts.home;
  const about = `${count} ${count === 1 ? 'snapshot' : 'snapshots'}, the newest of ${newest.time.slice(0, 16)}, from host ${newest.hostname ?? '(unknown)'}`;
  const rest = settings ?? `…: …   # of ${newest.paths.join(', ')}`;
  const entry = `${name}: { driver: ${driver}, ${rest}${settings === undefined ? '' : ', policy: nightly }'}`;
  return { active, about, line: active ? `  ${entry}` : `  # ${entry}` };
}

/** What the paths of a snapshot say, in the form its driver takes; addresses of servers are not among it. */
function settingsFor({ paths }: StoredSnapshot, driver: AnyDriver | undefined): string | undefined {
  const guesses = [{ path: paths[0] }, { paths: [...paths] }];
  if (paths.length === 0 || !paths.every((path) => path.startsWith('/'))) return undefined;
  const fitting = guesses.find((guess) => driver?.settings.safeParse(guess).success);
  if (!fitting) return undefined;
  const [[key, value]] = Object.entries(fitting);
  return `${key}: ${JSON.stringify(value)}`;
}

function nameFor({ paths }: StoredSnapshot, taken: Set<string>): string {
  const stem = slug(basename(paths[0] ?? '')) || 'source';
  let name = stem;
  for (let i = 2; taken.has(name); i++) name = `${stem}-${i}`;
  taken.add(name);
  return name;
}
