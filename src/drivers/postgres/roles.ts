/** Roles that a restored database needs. */
import type { SnapshotContents } from '../driver.ts';
import type { Session } from './session.ts';
import { dumpFolder, globalsFile, type SourceFacts } from './source-facts.ts';
import { quoteName, splitStatements } from './sql-text.ts';

export async function readGlobals(contents: SnapshotContents, facts: SourceFacts): Promise<string[]> {
  if (!facts.globals) return [];
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(`/${dumpFolder}/${globalsFile}`)) parts.push(Uint8Array.from(part));
  // From 16 on grants name who gave them, who must be the first superuser or an administrator of the role in the new place, too.
  return splitStatements(Buffer.concat(parts).toString('utf8')).map((statement) =>
    statement.replace(/^(GRANT [\s\S]*) GRANTED BY (?:"(?:[^"]|"")*"|\S+)$/, '$1'),
  );
}

export async function missingRoles(session: Session, facts: SourceFacts): Promise<string[]> {
  const rows = await session.query('SELECT rolname FROM pg_catalog.pg_roles');
  const there = new Set(rows.map(([name]) => name));
  return [...new Set(facts.databases.flatMap(({ roles }) => roles))].filter((name) => !there.has(name));
}

/** What of the globals is about these roles only; roles that exist are never changed. */
export function statementsFor(globals: readonly string[], roles: readonly string[]): string[] {
  const wanted = new Set(roles);
  return globals.filter((statement) => {
    const subject = subjectOf(statement);
    return subject !== undefined && wanted.has(subject);
  });
}

/** Every role, on a server of our own; tablespaces have no place there. */
export async function createAllRoles(session: Session, globals: readonly string[], facts: SourceFacts): Promise<void> {
  const statements = globals.filter(
    (statement) =>
      !/^(?:CREATE|ALTER|COMMENT ON|GRANT ALL ON|GRANT CREATE ON|REVOKE ALL ON) TABLESPACE/.test(statement) &&
      !/ ON TABLESPACE /.test(statement),
  );
  for (const statement of statements) await session.query(statement);
  for (const role of await missingRoles(session, facts)) await session.query(`CREATE ROLE ${quoteName(role)}`);
}

const name = String.raw`("(?:[^"]|"")*"|[^\s;"]+)`;

/** The role a statement makes, changes or gives something to. */
function subjectOf(statement: string): string | undefined {
  const [, role] = new RegExp(`^(?:CREATE|ALTER|COMMENT ON) ROLE ${name}`).exec(statement) ?? [];
  const [, , member] = new RegExp(`^GRANT ${name} TO ${name}`).exec(statement) ?? [];
  const word = role ?? member;
  return word === undefined ? undefined : plain(word);
}

function plain(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
}
