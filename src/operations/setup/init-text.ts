/** The text of a first configuration: what was found, explained line by line. */
import { basename } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import type { Findings, FoundServer } from './look-around.ts';

export interface StarterFacts extends Findings {
  readonly repository: string;
  readonly passwordFile: string;
  readonly isRoot: boolean;
}

/** Sources that are active at first; the others found are there as comments. */
const mostActive = 12;

export function starterConfig(facts: StarterFacts): string {
  return [
    '# Holdfast: what is backed up, where to, and how long it is kept. Check it with: holdfast validate',
    '',
    'repositories:',
    '  nas:',
    '    # Best on another disk or machine: a mounted NAS, for example /mnt/nas/holdfast.',
    `    url: ${quoted(facts.repository)}`,
    '    # Print this password and keep it somewhere else: without it nobody can read the repository.',
    `    password: { file: ${quoted(facts.passwordFile)} }`,
    '',
    'policies:',
    '  nightly:',
    '    # «holdfast serve» keeps to it, day and night. Without a server: «holdfast run» from cron or a systemd timer does what is due.',
    '    schedule: "0 2 * * *"',
    '    repositories:',
    '      # How many snapshots «holdfast forget --policy nightly» leaves: the newest 3, one a day for 7 days, …',
    '      - { name: nas, keep: { last: 3, daily: 7, weekly: 4, monthly: 12 } }',
    '    # A drill restores the newest snapshot into a throwaway place and compares: «holdfast drill --policy nightly».',
    '    drill: { schedule: "0 6 * * 0" }',
    '',
    'sources:',
    ...sourceLines(facts),
    ...serverLines(facts),
    '',
    ...platformLines,
  ].join('\n');
}

/** What a first configuration can do without. */
const platformLines = [
  '# Who is told when something is not safe. Try it with: holdfast notify test',
  '# notifications:',
  '#   phone: { ntfy: "https://ntfy.sh/a-topic-only-you-know", on: [backup.failed, drill.failed, source.overdue] }',
  '',
  '# Restores that come by themselves, for example into a place for tests.',
  '# restores:',
  '#   rehearsal: { source: configs, schedule: "0 5 * * 0", to: /srv/rehearsal, overwrite: true }',
  '',
  '# For «holdfast serve»: where it listens, how much it does at once, and labels of containers that declare sources, too.',
  '# server:',
  '#   listen: 127.0.0.1:8321',
  '#   limits: { runs: 4, perHost: 1, perRepository: 2 }',
  '#   labels: true',
  '#   metrics: { textfile: /var/lib/node_exporter/holdfast.prom }',
  '',
  '# Who may do what there, beside who set it up.',
  '# users:',
  '#   anna: { email: anna@example.org, role: viewer }',
  '',
];

function sourceLines(facts: StarterFacts): string[] {
  const taken = new Set<string>(['configs', 'latest', 'all']);
  const databases = facts.databases.map(({ path, sizeBytes }, i) => {
    const line = `${nameFor(path, taken)}: { driver: sqlite, path: ${quoted(path)}, policy: nightly }`;
    return `  ${i < mostActive ? '' : '# '}${line}  # ${formatBytes(sizeBytes)}`;
  });
  const more = facts.incomplete
    ? ['  # There may be more databases than were found in the time given to the search.']
    : [];
  const none =
    '  # app: { driver: sqlite, path: /srv/app/app.db, policy: nightly }   # copied hot, while it is written to';
  return [...(databases.length > 0 ? databases : [none]), ...more, ...configLines(facts)];
}

function configLines({ isRoot, composeFiles, passwordFile }: StarterFacts): string[] {
  const paths = [...(isRoot ? ['/etc'] : ['~/.config']), ...composeFiles];
  return [
    '  configs:',
    '    driver: files',
    '    paths:',
    ...paths.map((path) => `      - ${quoted(path)}`),
    `    exclude: [${quoted(passwordFile)}]`,
    '    allowMissing: true',
    '    policy: nightly',
  ];
}

function serverLines({ servers }: StarterFacts): string[] {
  if (servers.length === 0) return [];
  return [
    '',
    '  # Servers that were found. Make a user for backups (docs/drivers/ has the statements), store its password, correct the',
    '  # line and take the «#» away. Try it with: holdfast driver check NAME',
    ...servers.flatMap(({ kind, path }) => [`  # ${kind}, its data in ${path}`, `  # ${serverLine(kind)}`]),
  ];
}

function serverLine(kind: FoundServer['kind']): string {
  const password = 'password: { file: ~/.config/holdfast/server-password }, policy: nightly }';
  switch (kind) {
    case 'PostgreSQL':
      return `postgres: { driver: postgres, url: "postgres://holdfast@localhost:5432/postgres", databases: all, ${password}`;
    case 'MySQL or MariaDB':
      return `mariadb: { driver: mariadb, url: "mariadb://holdfast@localhost:3306", databases: all, ${password}  # or mysql`;
    case 'MongoDB':
      return `mongodb: { driver: mongodb, url: "mongodb://holdfast@localhost:27017", ${password}`;
    case 'Redis':
      return `redis: { driver: redis, url: "redis://localhost:6379", policy: nightly }`;
  }
}

/** A name from the file's, with its directory's where that is taken. */
function nameFor(path: string, taken: Set<string>): string {
  const parts = path.split('/');
  const stem = slug(basename(path).replace(/\.[^.]*$/, ''));
  const candidates = [stem, `${slug(parts.at(-2) ?? '')}-${stem}`];
  let name = candidates.find((candidate) => !taken.has(candidate)) ?? stem;
  for (let i = 2; taken.has(name); i++) name = `${stem}-${i}`;
  taken.add(name);
  return name;
}

export function slug(text: string): string {
  const clean = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return clean === '' ? 'database' : clean;
}

/** Plain where YAML takes it as it is, else in JSON's quotes, which YAML 1.2 understands. */
function quoted(text: string): string {
  return /^[~/][\w./-]*$/.test(text) && text.length > 1 ? text : JSON.stringify(text);
}
