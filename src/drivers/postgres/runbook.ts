/** How to restore without Holdfast, written into every snapshot. */
import type { NativeStep, RunbookWords, SnapshotContents } from '../driver.ts';
import { placeOf } from './place.ts';
import type { Settings } from './settings.ts';
import type { DatabaseFacts, SourceFacts } from './source-facts.ts';
import { dumpFolder, globalsFile, readSourceFacts } from './source-facts.ts';
import { quoteName, quoteText } from './sql-text.ts';
import { statementsAfter, statementsBefore } from './statements.ts';

export function storedRunbook(facts: SourceFacts): string {
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
      ...steps(database, facts).map((line) => `    ${line}`),
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
      (database): NativeStep => ({ text: `Database ${database.name}:`, command: steps(database, facts).join('\n') }),
    ),
  ];
}

function steps(database: DatabaseFacts, { globals, server }: SourceFacts): string[] {
  const { name, timezone } = database;
  const word = shellWord(`dbname='${name.replace(/[\\']/g, '\\$&')}'`);
  const inside = (sql: string): string => `psql -d ${word} -c ${shellWord(`${sql};`)}`;
  const outside = (sql: string): string => `psql -d postgres -c ${shellWord(`${sql};`)}`;
  const extensions = database.extensions
    .filter((one) => one.name !== 'plpgsql')
    .map((one) => `${one.name} ${one.version}`);
  return [
    ...(extensions.length > 0 ? [`# needs the extensions: ${extensions.join(', ')}`] : []),
    ...(globals ? [] : [`# needs the roles: ${database.roles.join(', ')}`]),
    outside(createDatabase(database, name, server)),
    ...statementsBefore(database, name, false).map(inside),
    `${timezone === undefined ? '' : `PGTZ=${shellWord(timezone)} `}pg_restore --exit-on-error -d ${word} ${shellWord(database.path.slice(1))}`,
    ...statementsAfter(database, name, true).map(outside),
  ];
}

/** With the same encoding and collation as where it came from. `major`: of the server; `plain`: those of its C locale. */
export function createDatabase(
  facts: DatabaseFacts,
  name: string,
  { major, plain = false }: { major: number; plain?: boolean },
): string {
  const { encoding, collate, ctype, provider, locale, icuRules } = facts;
  const words = [`CREATE DATABASE ${quoteName(name)} TEMPLATE template0 ENCODING ${quoteText(encoding)}`];
  if (plain) return `${words[0]} LC_COLLATE 'C' LC_CTYPE 'C'`;
  words.push(`LC_COLLATE ${quoteText(collate)} LC_CTYPE ${quoteText(ctype)}`);
  // From 15 on a server may take another one for what does not say it, which sorts otherwise.
  if (provider === 'libc' && major >= 15) words.push('LOCALE_PROVIDER libc');
  if (provider === 'icu') words.push(`LOCALE_PROVIDER icu ICU_LOCALE ${quoteText(locale ?? collate)}`);
  if (provider === 'icu' && icuRules !== undefined) words.push(`ICU_RULES ${quoteText(icuRules)}`);
  if (provider === 'builtin') words.push(`LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteText(locale ?? 'C')}`);
  return words.join(' ');
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Tables named in a look at the result. */
const mostShown = 5;

/** What a generated runbook says of it. */
export async function runbook(settings: Settings, contents: SnapshotContents): Promise<RunbookWords> {
  const { databases } = await readSourceFacts(contents);
  const [only, ...more] = databases;
  const copy = `${only.name}_restored`;
  return {
    ...(more.length === 0 ? { beside: { to: shellWord(copy), look: [count(settings, only, copy)] } } : {}),
    before: [
      {
        text: 'The present databases stay until the new ones are complete, then those take their names; what was there is kept under the name the restore says. Programs that are connected are cut off at that moment: stop them first. «--include SCHEMA.TABLE» restores tables only.',
      },
    ],
    look: databases.slice(0, mostShown).map((database) => count(settings, database, database.name)),
  };
}

function count(settings: Settings, { relations }: DatabaseFacts, name: string): NativeStep {
  const { user, host, port, socketDirectory } = placeOf(settings);
  const connection = `-h ${shellWord(socketDirectory ?? host)} -p ${port} -U ${shellWord(user)}`;
  const counts = relations
    .slice(0, mostShown)
    .map(
      (one) =>
        `SELECT ${quoteText(`${one.schema}.${one.name}`)}, count(*) FROM ${quoteName(one.schema)}.${quoteName(one.name)}`,
    );
  const query = counts.length === 0 ? 'SELECT now()' : counts.join(' UNION ALL ');
  return {
    text: `Rows of ${counts.length === 0 ? 'no table' : 'its tables'} in ${name}; psql asks for the password of ${user} unless PGPASSWORD or ~/.pgpass has it:`,
    command: `psql ${connection} -d ${shellWord(name)} -c ${shellWord(query)}`,
  };
}
