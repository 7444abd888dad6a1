/** SQL that a restore needs beside the dump, whoever runs pg_restore. */
import { type DatabaseFacts, makesPublic } from './source-facts.ts';
import { quoteName, quoteText } from './sql-text.ts';

/**
 * In the empty database `name`, by another session than the one that fills it; `statementsAfter` open it again. Its settings
 * come first, as with `pg_restore --create`: what checks allow and materialised views hold may depend on them. Dumps of tables
 * hold neither their schemas nor the extensions they use, dumps of schemas not those that extensions are in. `isSelecting`:
 * only some entries of the dump are restored.
 */
export function statementsBefore(facts: DatabaseFacts, name: string, isSelecting: boolean): string[] {
  const settings = setEverywhere(facts, name, (setting) => !hindering.test(setting));
  return [closed(name), ...settings, ...makeSurroundings(facts, isSelecting)];
}

/** Privileges come last in a dump: until then everybody who may connect may call every function. */
function closed(name: string): string {
  return `REVOKE CONNECT ON DATABASE ${quoteName(name)} FROM PUBLIC`;
}

/** Settings that would stop or end the sessions that fill a database. */
const hindering = /^(?:default_transaction_read_only|role|\w+_timeout)=/i;

function setEverywhere({ settings }: DatabaseFacts, name: string, isMeant: (setting: string) => boolean): string[] {
  return settings
    .filter(({ role }) => role === '')
    .flatMap((one) => one.settings.filter(isMeant))
    .map((setting) => `ALTER DATABASE ${quoteName(name)} SET ${assignment(setting)}`);
}

function makeSurroundings(facts: DatabaseFacts, isSelecting: boolean): string[] {
  const { breadth, madeSchemas, schemas } = facts;
  const extensions = facts.extensions.filter(({ name }) => name !== 'plpgsql');
  const makeSchema = (name: string): string => `CREATE SCHEMA IF NOT EXISTS ${quoteName(name)}`;
  if (isSelecting || breadth === 'tables') {
    return [
      ...schemas.map(makeSchema),
      ...extensions.map(
        ({ name, schema }) => `CREATE EXTENSION IF NOT EXISTS ${quoteName(name)} SCHEMA ${quoteName(schema)} CASCADE`,
      ),
    ];
  }
  if (breadth === 'all') return [];
  const around = new Set(extensions.map(({ schema }) => schema));
  const lacking = [...around].filter((schema) => madeSchemas?.includes(schema) === false && !/^pg_/.test(schema));
  return [...(makesPublic(facts) ? ['DROP SCHEMA public'] : []), ...lacking.map(makeSchema)];
}

/** What belongs to the database itself, and to no dump of it. */
export function statementsAfter(facts: DatabaseFacts, name: string, withOwners: boolean): string[] {
  const database = quoteName(name);
  const ofRoles = facts.settings
    .filter(({ role }) => role !== '' && withOwners)
    .flatMap(({ role, settings }) =>
      settings.map((one) => `ALTER ROLE ${quoteName(role)} IN DATABASE ${database} SET ${assignment(one)}`),
    );
  const set = [...setEverywhere(facts, name, (setting) => hindering.test(setting)), ...ofRoles];
  const comment = facts.comment === undefined ? [] : [`COMMENT ON DATABASE ${database} IS ${quoteText(facts.comment)}`];
  const limit =
    facts.connectionLimit >= 0 ? [`ALTER DATABASE ${database} CONNECTION LIMIT ${facts.connectionLimit}`] : [];
  const template = facts.isTemplate === true ? [`ALTER DATABASE ${database} IS_TEMPLATE true`] : [];
  const plain = [...set, ...comment, ...limit, ...template];
  const byDefault = `GRANT CONNECT ON DATABASE ${database} TO PUBLIC`;
  if (!withOwners) return [...plain, byDefault];
  const grants = facts.grants && [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    ...facts.grants.map(
      ({ grantee, privilege, grantable }) =>
        `GRANT ${privilege} ON DATABASE ${database} TO ${grantee === '' ? 'PUBLIC' : quoteName(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`,
    ),
  ];
  return [...plain, `ALTER DATABASE ${database} OWNER TO ${quoteName(facts.owner)}`, ...(grants ?? [byDefault])];
}

/** Lists are stored as they were written, quotes included; anything else is one value (pg_dump: `makeAlterConfigCommand`). */
function assignment(setting: string): string {
  const at = setting.indexOf('=');
  const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
  const isList = /^(?:search_path|session_preload_libraries|local_preload_libraries|temp_tablespaces|DateStyle)$/i.test(
    name,
  );
  const word = name.split('.').map(quoteName).join('.');
  return `${word} TO ${isList && value !== '' ? value : quoteText(value)}`;
}
