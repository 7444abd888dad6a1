/** Makes the accounts of a snapshot that are not there. Those that are keep their password, their rights and their limits. */
import { messageOf } from '../../base/errors.ts';
import { ownGrant, quotedName } from './accounts.ts';
import { runStatement } from './load.ts';
import { readScript, type Statement } from './script.ts';
import { isServerError, type ServerError, type Session } from './session.ts';

/** ER_CANNOT_USER: an account of this name is there. */
const isThere = 1396;
/** ER_PARSE_ERROR: the server repeats the statement, which has the hash of a password. */
const notUnderstood = 1064;

/** Gives what could not be made, each with its account; `restore.failed` if the file cannot be read to its end. */
export async function restoreAccounts(session: Session, script: AsyncIterable<Uint8Array>): Promise<string[]> {
  const problems: string[] = [];
  const made = new Set<string>();
  for await (const statement of readScript(script)) {
    const { kind } = statement.section;
    if (kind === 'accounts') {
      const problem = await makeAccount(session, statement, made);
      if (problem !== undefined) problems.push(problem);
    } else if (kind === 'grants') {
      const problem = await giveGrant(session, statement, made);
      if (problem !== undefined) problems.push(problem);
    } else {
      await runStatement(session, statement);
    }
  }
  return problems;
}

async function makeAccount(session: Session, { sql }: Statement, made: Set<string>): Promise<string | undefined> {
  const title = accountIn(sql);
  try {
    // without IF NOT EXISTS the server tells whether it was made
    await session.run(sql.replace(/^(CREATE (?:USER|ROLE)) IF NOT EXISTS /, '$1 '));
    if (title !== undefined) made.add(title);
    return undefined;
  } catch (error) {
    if (!isServerError(error)) throw error;
    return error.errno === isThere ? undefined : `the account ${title} could not be made: ${reasonOf(error)}`;
  }
}

async function giveGrant(session: Session, { sql }: Statement, made: ReadonlySet<string>): Promise<string | undefined> {
  const title = accountIn(sql);
  if (title !== undefined && !made.has(title)) return undefined;
  const grant = ownGrant(sql);
  const what = `of the account ${title ?? 'that cannot be told'} a right could not be given (${grant.replace(/ IDENTIFIED .*$/s, '')})`;
  if (title === undefined) return what;
  try {
    await session.run(grant);
    return undefined;
  } catch (error) {
    if (!isServerError(error)) throw error;
    return `${what}: ${reasonOf(error)}`;
  }
}

function reasonOf(error: ServerError): string {
  return error.errno === notUnderstood ? 'the server does not understand its definition' : messageOf(error);
}

const about = new RegExp(
  `^(?:CREATE (?:USER|ROLE) IF NOT EXISTS|ALTER USER|(?:GRANT|REVOKE|SET DEFAULT ROLE)(?:[^\`']|${quotedName})*? (?:TO|FROM|FOR)) (${quotedName})(?:@(${quotedName}))?`,
  's',
);

/** Whom a statement makes, or gives something: `user`@`host`, however it is quoted; MariaDB's roles have no host. */
export function accountIn(sql: string): string | undefined {
  const [, user, host] = about.exec(sql) ?? [];
  if (user === undefined) return undefined;
  return host === undefined ? plainly(user) : `${plainly(user)}@${plainly(host)}`;
}

function plainly(name: string): string {
  const inner = name.slice(1, -1);
  const text = name.startsWith('`') ? inner.replaceAll('``', '`') : inner.replaceAll("''", "'");
  return `\`${text.replaceAll('`', '``')}\``;
}
