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

export async function presentRoles(session: Session): Promise<Set<string>> {
  const rows = await session.query('SELECT rolname FROM pg_catalog.pg_roles');
  return new Set(rows.map(([one]) => one ?? ''));
}

export function missingRoles(facts: SourceFacts, present: ReadonlySet<string>): string[] {
  return [...new Set(facts.databases.flatMap(({ roles }) => roles))].filter((one) => !present.has(one));
}

/** What a server's roles lack for a restore. */
export interface RolePlan {
  readonly roles: readonly string[];
  /** In order; roles that exist are never changed, but become members of new ones. */
  readonly statements: readonly string[];
  /** Memberships of roles that were there before. */
  readonly joining: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Beside the roles the databases name: who was a member of those and so had their rights, and every group that any of them is
 * a member of. Only groups that are new get members.
 */
export function planRoles(
  globals: readonly string[],
  needed: readonly string[],
  present: ReadonlySet<string>,
): RolePlan {
  const memberships = globals.flatMap((statement) => {
    const [, group, member] = grantOf.exec(statement) ?? [];
    return group === undefined || member === undefined
      ? []
      : [{ statement, group: plain(group), member: plain(member) }];
  });
  const made = new Set(globals.flatMap((statement) => madeBy.exec(statement)?.[1] ?? []).map(plain));
  const isNew = (role: string): boolean => !present.has(role) && (made.has(role) || needed.includes(role));
  const roles = new Set(needed.filter(isNew));
  for (const group of roles)
    for (const one of memberships) if (one.group === group && isNew(one.member)) roles.add(one.member);
  for (const member of roles)
    for (const one of memberships) if (one.member === member && isNew(one.group)) roles.add(one.group);
  const isThere = (role: string): boolean => present.has(role) || roles.has(role);
  const concerned = memberships.filter(
    ({ group, member }) => roles.has(member) || (roles.has(group) && isThere(member)),
  );
  const granted = new Set(concerned.filter(({ group }) => isThere(group)).map(({ statement }) => statement));
  const own = (statement: string): boolean => {
    const [, role] = aboutRole.exec(statement) ?? [];
    const [, , grantee] = parameterGrant.exec(statement) ?? [];
    const whose = role ?? grantee;
    return whose !== undefined && roles.has(plain(whose));
  };
  return {
    roles: [...roles],
    statements: [
      ...[...roles].filter((role) => !made.has(role)).map((role) => `CREATE ROLE ${quoteName(role)}`),
      ...globals.filter((statement) => own(statement) || granted.has(statement)),
    ],
    joining: concerned
      .filter(({ group, member }) => roles.has(group) && !roles.has(member))
      .map(({ group, member }) => `${member} becomes a member of ${group}`),
    problems: concerned
      .filter(({ group }) => !isThere(group))
      .map(({ group, member }) => `${member} is not made a member of ${group}, a role that the server does not know`),
  };
}

/** Every role, on a server of our own; tablespaces have no place there. */
export async function createAllRoles(session: Session, globals: readonly string[], facts: SourceFacts): Promise<void> {
  const statements = globals.filter(
    (statement) =>
      !/^(?:CREATE|ALTER|COMMENT ON|GRANT ALL ON|GRANT CREATE ON|REVOKE ALL ON) TABLESPACE/.test(statement) &&
      !/ ON TABLESPACE /.test(statement),
  );
  for (const statement of statements) await session.query(statement);
  for (const role of missingRoles(facts, await presentRoles(session)))
    await session.query(`CREATE ROLE ${quoteName(role)}`);
}

const name = String.raw`("(?:[^"]|"")*"|[^\s;"]+)`;

const madeBy = new RegExp(`^CREATE ROLE ${name}`);
const aboutRole = new RegExp(`^(?:CREATE|ALTER|COMMENT ON) ROLE ${name}`);
const parameterGrant = new RegExp(`^GRANT [A-Z, ]+ ON PARAMETER ${name} TO ${name}`);
const grantOf = new RegExp(`^GRANT ${name} TO ${name}`);

function plain(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word;
}
