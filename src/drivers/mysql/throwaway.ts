/** A restored copy in a server of its own: loaded, asked, compared. */
import type { Check, Fact, Fingerprint } from '../../model/fingerprint.ts';
import { factsFolder } from '../../model/snapshot.ts';
import type { RestoredCopy, SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { accountFacts, ownAccounts, readAccounts } from './accounts.ts';
import { serverFactsFile } from './backup.ts';
import { withoutDirectories } from './directories.ts';
import { compareCopy } from './fingerprint.ts';
import { loadTables, makePrograms, type Programs } from './load.ts';
import { accountsFile, databaseOf, dumpFileName, dumpFolder, quoteName } from './names.ts';
import { readScript, type Statement } from './script.ts';
import { type Flavour, identify, prepareReader, productName } from './server.ts';
import { isServerError, type Session } from './session.ts';
import type { Settings } from './settings.ts';
import { administrator, type Origin, startServer, type ThrowawayServer } from './throwaway-server.ts';

type Source = SourceContext<Settings>;

/** Loads every dump and the accounts. `restore.failed`, `host.command-missing`. */
export async function restoreThrowaway(
  source: Source,
  contents: SnapshotContents,
  throwaway: Throwaway,
  flavour: Flavour,
): Promise<RestoredCopy> {
  const server = await startServer(source, throwaway, await readOrigin(contents, flavour));
  try {
    const names = await dumpedDatabases(contents);
    const bytes = await loadAll(source, contents, server, names);
    await using session = await server.open();
    const found = await identify(session);
    return {
      bytes,
      instance: server.title.startsWith('container')
        ? `${productName[flavour]} ${found.version}, ${server.title}`
        : server.title,
      compare: (expected) => compare(source, server, expected, names),
      query: (statement) => query(server, statement, names),
      environment: server.environment,
      isApart: server.isApart,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** What the backup noted about the server. */
export async function readOrigin(contents: SnapshotContents, flavour: Flavour): Promise<Origin> {
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(`/${factsFolder}/${serverFactsFile}`)) parts.push(part);
  const { server } = JSON.parse(Buffer.concat(parts).toString('utf8')) as { server: Partial<Origin> };
  return { flavour, version: server.version ?? '', lowerCaseTableNames: server.lowerCaseTableNames ?? 0 };
}

export async function dumpedDatabases(contents: SnapshotContents): Promise<string[]> {
  const nodes = await contents.children(`/${dumpFolder}`);
  return nodes.flatMap((node) => databaseOf(node.name) ?? []);
}

/** Accounts first: views and routines name who defined them. All tables before all programs: views may read other databases. */
async function loadAll(
  source: Source,
  contents: SnapshotContents,
  server: ThrowawayServer,
  names: readonly string[],
): Promise<number> {
  let bytes = 0;
  const programs: Programs[] = [];
  const { signal, report } = source;
  const accounts = await readAccountStatements(contents);
  await using administration = await server.open();
  if (accounts.length > 0) await dropFreshAccounts(administration);
  await runForgiving(
    administration,
    accounts.filter(({ section }) => section.kind !== 'grants'),
  );
  for (const name of names) {
    await using session = await server.open();
    const start = bytes;
    const progress = (done: number): void => report({ type: 'progress', stage: 'restore', bytesDone: start + done });
    const path = `/${dumpFolder}/${dumpFileName(name)}`;
    const what = { session, contents, path, name, defined: withoutDirectories };
    const loaded = await loadTables({ ...what, signal, progress });
    programs.push({ database: name, statements: loaded.programs });
    bytes += loaded.bytes;
  }
  const grants = accounts.filter(({ section }) => section.kind === 'grants');
  await runForgiving(administration, grants);
  await using session = await server.open();
  await makeDefiners(session, programs);
  // An event whose time has passed since the backup would not be kept.
  await session.run('SET SESSION timestamp = 86400');
  await makePrograms(session, programs);
  // Once more: some are about routines.
  await runForgiving(administration, grants);
  return bytes;
}

async function readAccountStatements(contents: SnapshotContents): Promise<Statement[]> {
  const path = `/${dumpFolder}/${accountsFile}`;
  if (!(await contents.node(path))) return [];
  const statements: Statement[] = [];
  for await (const statement of readScript(contents.read(path))) statements.push(statement);
  return statements;
}

/** Accounts and grants the copy's server cannot make are found missing by the comparison, which names them. */
async function runForgiving(session: Session, statements: readonly Statement[]): Promise<void> {
  for (const { sql } of statements) {
    await session.run(sql).catch((error: unknown) => {
      if (!isServerError(error)) throw error;
    });
  }
}

/** A new server's own root and the like would stand in the way of those of the snapshot. */
async function dropFreshAccounts(session: Session): Promise<void> {
  for (const { user, host } of await session.rows('SELECT User AS user, Host AS host FROM mysql.user')) {
    if (user === null || ownAccounts.has(user) || user === administrator) continue;
    await session.run(`DROP USER IF EXISTS ${quoteName(user)}@${quoteName(host ?? '')}`);
  }
}

/** Accounts that are not in the snapshot, as stand-ins that may do everything: a view of a view needs its definer. */
async function makeDefiners(session: Session, programs: readonly Programs[]): Promise<void> {
  const texts = programs.flatMap(({ statements }) => statements.map(({ sql }) => sql));
  const found = texts.flatMap((sql) => /^CREATE .*?DEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`)/.exec(sql)?.[1] ?? []);
  const rows = await session.rows('SELECT User AS user, Host AS host FROM mysql.user');
  const present = new Set(rows.map(({ user, host }) => `${quoteName(user ?? '')}@${quoteName(host ?? '')}`));
  for (const account of new Set(found)) {
    if (present.has(account)) continue;
    await session.run(`CREATE USER IF NOT EXISTS ${account}`, `GRANT ALL PRIVILEGES ON *.* TO ${account}`);
  }
}

/** Without a fingerprint there is one check: that every database of the snapshot was loaded. */
async function compare(
  source: Source,
  server: ThrowawayServer,
  expected: Fingerprint | undefined,
  names: readonly string[],
): Promise<Check[]> {
  await using session = await server.open();
  const found = await identify(session);
  await prepareReader(session, found);
  if (expected === undefined) {
    return names.map((name) => ({
      subject: `database ${name}`,
      measure: 'restored',
      expected: 'yes',
      found: 'yes',
      ok: true,
    }));
  }
  const accounts = expected.facts.filter(({ subject }) => subject.startsWith('account '));
  const others = { ...expected, facts: expected.facts.filter((fact) => !accounts.includes(fact)) };
  const checks = await compareCopy(session, others, names, source.settings);
  const present = accounts.length > 0 ? accountFacts(await readAccounts(session, found)) : [];
  return [...checks, ...accounts.map((fact) => accountCheck(fact, present))];
}

/** Accounts every new server has are in the copy too, so only those of the snapshot are looked for. */
function accountCheck(fact: Fact, present: readonly Fact[]): Check {
  const found = present.find(({ subject }) => subject === fact.subject)?.value ?? 'missing';
  return { subject: fact.subject, measure: fact.measure, expected: fact.value, found, ok: found === fact.value };
}

/** Where there is one database, it is the current one. */
async function query(server: ThrowawayServer, statement: string, names: readonly string[]): Promise<string> {
  await using session = await server.open();
  if (names.length === 1) await session.run(`USE ${quoteName(names[0])}`);
  const rows = await session.table(statement);
  return rows.map((row) => row.map((value) => value ?? 'NULL').join('\t')).join('\n');
}
