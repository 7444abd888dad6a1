/** How to restore without Holdfast, written into every snapshot. */
import type { NativeStep, SnapshotContents } from '../driver.ts';
import type { DatabaseFacts, SourceFacts } from './source-facts.ts';
import { dumpFolder, globalsFile, readSourceFacts } from './source-facts.ts';
import { quoteName, quoteText } from './sql-text.ts';

export function runbook(facts: SourceFacts): string {
  const { server, client, databases } = facts;
  return [
    `# Restore of ${server.place}`,
    '',
    `PostgreSQL ${server.version}, dumped with pg_dump ${client.version}. pg_restore has to be of version ${client.major} or newer.`,
    'The repository is in restic’s format: `restic restore SNAPSHOT --target .` gives the files named below.',
    '',
    ...(facts.globals
      ? [
          'Roles first (those that exist already are reported, which is no harm):',
          '',
          `    psql -d postgres -f ${dumpFolder}/${globalsFile}`,
          '',
        ]
      : []),
    ...databases.flatMap((database) => [
      `Database ${database.name}:`,
      '',
      ...steps(database).map((line) => `    ${line}`),
      '',
    ]),
  ].join('\n');
}

/** The same for a recovery kit. */
export async function nativeSteps(contents: SnapshotContents): Promise<NativeStep[]> {
  const facts = await readSourceFacts(contents);
  const roles: NativeStep = {
    text: 'Roles first; those that exist already are reported, which is no harm:',
    command: `psql -d postgres -f ${dumpFolder}/${globalsFile}`,
  };
  return [
    {
      text: `PostgreSQL ${facts.server.version}; psql and pg_restore have to be of version ${facts.client.major} or newer. Start an empty server of version ${facts.server.major} or newer. The programs find it by PGHOST, PGPORT and PGUSER (a superuser). A database of the same name has to be renamed or dropped first.`,
    },
    ...(facts.globals ? [roles] : []),
    ...facts.databases.map(
      (database): NativeStep => ({ text: `Database ${database.name}:`, command: steps(database).join('\n') }),
    ),
  ];
}

function steps(database: DatabaseFacts): string[] {
  const extensions = database.extensions
    .filter(({ name }) => name !== 'plpgsql')
    .map(({ name, version }) => `${name} ${version}`);
  return [
    ...(extensions.length > 0 ? [`# needs the extensions: ${extensions.join(', ')}`] : []),
    `psql -d postgres -c ${shellWord(`${createDatabase(database, database.name)};`)}`,
    `pg_restore --exit-on-error -d ${shellWord(`dbname='${database.name.replace(/[\\']/g, '\\$&')}'`)} ${shellWord(database.path.slice(1))}`,
  ];
}

/** With the same encoding and collation as where it came from. `plain`: those of the server’s C locale. */
export function createDatabase(facts: DatabaseFacts, name: string, plain = false): string {
  const { encoding, collate, ctype, provider, locale, icuRules } = facts;
  const words = [`CREATE DATABASE ${quoteName(name)} TEMPLATE template0 ENCODING ${quoteText(encoding)}`];
  if (plain) return `${words[0]} LC_COLLATE 'C' LC_CTYPE 'C'`;
  words.push(`LC_COLLATE ${quoteText(collate)} LC_CTYPE ${quoteText(ctype)}`);
  if (provider === 'icu') words.push(`LOCALE_PROVIDER icu ICU_LOCALE ${quoteText(locale ?? collate)}`);
  if (provider === 'icu' && icuRules !== undefined) words.push(`ICU_RULES ${quoteText(icuRules)}`);
  if (provider === 'builtin') words.push(`LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteText(locale ?? 'C')}`);
  return words.join(' ');
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
