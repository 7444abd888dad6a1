/** Accounts, roles and grants as statements that make them again. */
import type { Fact } from '../../model/fingerprint.ts';
import { byBytes } from './catalog.ts';
import { explainRefusal } from './failures.ts';
import { sha256 } from './fingerprint.ts';
import { quoteName, quoteText } from './names.ts';
import { sectionText, statementText } from './script.ts';
import { isAtLeast, type Server } from './server.ts';
import { isServerError, oneRow, type Session } from './session.ts';

export interface Account {
  /** `'shop'@'%'`, a role's plain name for MariaDB. */
  readonly title: string;
  readonly creates: readonly string[];
  /** After every account was made: grants may name others. */
  readonly grants: readonly string[];
}

/** The servers' own accounts, made with every new server. */
export const ownAccounts: ReadonlySet<string> = new Set([
  'mysql.sys',
  'mysql.session',
  'mysql.infoschema',
  'mariadb.sys',
  'PUBLIC',
]);

/** `source.unreadable` if the user may not read them. */
export async function readAccounts(
  session: Session,
  server: Server,
  ignored: (title: string) => void = () => {},
): Promise<Account[]> {
  try {
    const mariadb = server.flavour === 'mariadb';
    if (!mariadb && isAtLeast(server.numbers, 8, 0, 17)) {
      await session.run('SET SESSION print_identified_with_as_hex = 1');
    }
    const role = mariadb ? ', is_role AS role' : '';
    const rows = await session.rows(`SELECT User AS user, Host AS host${role} FROM mysql.user`);
    const accounts: Account[] = [];
    for (const { user, host, role: isRole } of rows) {
      if (ownAccounts.has(user ?? '')) continue;
      const read = isRole === 'Y' ? readRole : readAccount;
      const account = await read(session, user ?? '', host ?? '').catch(unlessIgnored);
      if (account) accounts.push(account);
      else ignored(`${user}@${host}`);
    }
    return accounts.toSorted((a, b) => byBytes(a.title, b.title));
  } catch (error) {
    throw explainRefusal(error, session.place, 'accounts and grants (leave them out with «users: false»)');
  }
}

/** An account that is in the table but not in force, e.g. one of a host's name where names are not resolved (ER_PASSWORD_NO_MATCH). */
function unlessIgnored(error: unknown): undefined {
  if (!isServerError(error) || error.errno !== 1133) throw error;
}

async function readRole(session: Session, name: string): Promise<Account> {
  const title = quoteName(name);
  return { title, creates: [`CREATE ROLE IF NOT EXISTS ${title}`], grants: await readGrants(session, title) };
}

async function readAccount(session: Session, user: string, host: string): Promise<Account> {
  const title = `${quoteName(user)}@${quoteName(host)}`;
  const [definition] = Object.values(await oneRow(session, `SHOW CREATE USER ${title}`));
  // Roles a user has by default must be there first.
  const roles = / DEFAULT ROLE ((?:`(?:[^`]|``)*`@`(?:[^`]|``)*`,?)+)/.exec(definition ?? '');
  const create = (definition ?? '')
    .replace(roles?.[0] ?? '', '')
    .replace(/^CREATE USER /, 'CREATE USER IF NOT EXISTS ');
  const grants = await readGrants(session, title);
  return {
    title,
    creates: [create],
    grants: roles ? [...grants, `ALTER USER ${title} DEFAULT ROLE ${roles[1]}`] : grants,
  };
}

async function readGrants(session: Session, title: string): Promise<string[]> {
  const rows = await session.table(`SHOW GRANTS FOR ${title}`);
  return rows.map(([grant]) => grant ?? '');
}

/** A name as servers quote it in what they show. */
export const quotedName = "`(?:[^`]|``)*`|'(?:[^']|'')*'";
const method = "[\\w-]+(?: (?:USING|AS) '(?:[^'\\\\]|\\\\.|'')*')?";
const signIn = new RegExp(
  `^(GRANT (?:[^\`']|${quotedName})*? TO (?:${quotedName})(?:@(?:${quotedName}))?) IDENTIFIED (?:BY PASSWORD '[^']*'|(?:VIA|WITH) ${method}(?: OR ${method})*)`,
  's',
);

/** A grant without how the account signs in, which MariaDB shows with it: granting that again would put an old password back. */
export function ownGrant(sql: string): string {
  return sql.replace(signIn, '$1');
}

export function accountsText(accounts: readonly Account[], title: string): string {
  return [
    `-- accounts of ${title}\n${sectionText({ kind: 'session' })}`,
    statementText('SET NAMES utf8mb4'),
    statementText(`SET SESSION sql_mode = ${quoteText('NO_AUTO_VALUE_ON_ZERO')}`),
    sectionText({ kind: 'accounts' }),
    ...accounts.flatMap((one) => one.creates).map(statementText),
    sectionText({ kind: 'grants' }),
    ...accounts
      .flatMap((one) => one.grants)
      .map(ownGrant)
      .map(statementText),
    `${sectionText({ kind: 'end' })}-- that is all\n`,
  ].join('');
}

export function accountFacts(accounts: readonly Account[]): Fact[] {
  return accounts.map(({ title, creates, grants }) => ({
    subject: `account ${title}`,
    measure: 'definition',
    value: sha256(JSON.stringify([creates, grants.toSorted()])),
  }));
}
