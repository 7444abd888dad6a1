/** Brings the chosen databases into one consistent state and gives their dumps as a capture. */
import { HoldfastError } from '../../base/errors.ts';
import type { Fact, Fingerprint } from '../../model/fingerprint.ts';
import type { Capture, Entry, SourceContext } from '../driver.ts';
import { factsEntry, madeAttributes, madeDirectory, rootEntry, streamEntry, streamOf, textEntry } from '../entries.ts';
import { type Account, accountFacts, accountsText, readAccounts } from './accounts.ts';
import { type Database, readDatabase, type Table } from './catalog.ts';
import { holdMoment, type Moment } from './consistent.ts';
import { chooseDatabases } from './databases.ts';
import { definitionChanged, dumpDatabase } from './dump.ts';
import { tellBrokenOff } from './exchange/record.ts';
import { algorithms, definitionFacts, type Level } from './fingerprint.ts';
import { accountsFile, dumpFileName, dumpFolder, quoteName } from './names.ts';
import { notKept } from './not-kept.ts';
import { requirePrivileges } from './privileges.ts';
import { type Flavour, identify, prepareReader, productName, requireFlavour, type Server } from './server.ts';
import { openSession, type Session } from './session.ts';
import { SessionPool } from './session-pool.ts';
import { placeOf, type Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export const fingerprintFile = 'fingerprint.json';
export const serverFactsFile = 'server.json';

/** The engine reads up to three streams at once; more connections would only wait. */
const mostReaders = 3;

/** What was seen before the moment. */
interface Seen {
  readonly flavour: Flavour;
  readonly server: Server;
  readonly databases: readonly Database[];
  readonly accounts: readonly Account[];
  readonly notes: readonly string[];
  /** Tables to hold while they are read. */
  readonly held: readonly Table[];
}

/** Errors: `source.missing`, `source.unreadable`, `source.unsupported`, `source.busy`, `host.unreachable`, each with a remedy. */
export async function capture(source: Source, flavour: Flavour): Promise<Capture> {
  const seen = await look(source, flavour);
  const heldTables = seen.databases.flatMap((database) =>
    database.tables
      .filter((table) => seen.held.includes(table))
      .map((table) => `${quoteName(database.name)}.${quoteName(table.name)}`),
  );
  const moment = await holdMoment({
    ...{ source, server: seen.server, databases: seen.databases, heldTables },
    mostReaders: Math.max(1, Math.min(mostReaders, seen.databases.length)),
  });
  return present(source, seen, moment);
}

/** Definitions are read before the moment, and again at the end: equal means that none changed in between. */
async function look(source: Source, flavour: Flavour): Promise<Seen> {
  await using session = await openSession(source);
  const server = await identify(session);
  requireFlavour(server, flavour, session.place.title);
  await prepareReader(session, server);
  const names = await chooseDatabases(session, source.settings, session.place);
  await requirePrivileges(session, names);
  const databases = await readAll(session, names, source.settings);
  const ignored: string[] = [];
  const accounts = source.settings.users
    ? await readAccounts(
        session,
        server,
        (title) => void ignored.push(`the account ${title} is not in force and was left out`),
      )
    : [];
  const { notes, held } = judgeEngines(source, databases);
  const lost = notKept(databases);
  const brokenOff = await tellBrokenOff(session, names);
  for (const message of brokenOff) source.report({ type: 'warning', code: 'restore.failed', message });
  for (const message of lost.warnings) source.report({ type: 'warning', code: 'source.unsupported', message });
  return {
    ...{ flavour, server, databases, accounts, held },
    notes: [...brokenOff, ...lost.warnings, ...lost.notes, ...notes, ...ignored],
  };
}

async function readAll(session: Session, names: readonly string[], settings: Settings): Promise<Database[]> {
  const databases: Database[] = [];
  for (const name of names) databases.push(await readDatabase(session, name, settings));
  return databases;
}

/** What to do about tables whose engine keeps no snapshot. `source.unsupported` where they are refused. */
function judgeEngines({ settings, name }: Source, databases: readonly Database[]): Pick<Seen, 'notes' | 'held'> {
  const all = databases.flatMap((database) => database.tables.map((table) => ({ database, table })));
  const plain = all.filter(({ table }) => table.withRows && !table.transactional);
  if (plain.length === 0) return { notes: [], held: [] };
  const some = plain.slice(0, 10).map(({ database, table }) => `${database.name}.${table.name} (${table.engine})`);
  const listed = `${some.join(', ')}${plain.length > some.length ? `, and ${plain.length - some.length} more` : ''}`;
  if (settings.nonTransactional === 'ignore') {
    return { notes: [`without transactions, and so maybe not of one moment: ${listed}`], held: [] };
  }
  if (settings.nonTransactional === 'lock') {
    return {
      notes: [`writers to tables without transactions waited until these were read: ${listed}`],
      held: plain.map(({ table }) => table),
    };
  }
  throw new HoldfastError({
    code: 'source.unsupported',
    message: `source ${name} has tables without transactions: ${listed}`,
    remedy: 'Convert them (ALTER TABLE … ENGINE=InnoDB), leave them out, or say «nonTransactional: lock» or «ignore».',
  });
}

function present(source: Source, seen: Seen, moment: Moment): Capture {
  const { settings, clock } = source;
  const atMs = clock.nowMs();
  const title = `${productName[seen.flavour]} ${seen.server.version}`;
  const facts: Fact[] = accountFacts(seen.accounts);
  const pool = new SessionPool(moment.readers);
  let unread = seen.held.length;
  const tableRead = async (table: Table): Promise<void> => {
    if (seen.held.includes(table)) unread--;
    if (unread === 0) await moment.releaseTables();
  };
  const level = settings.fingerprint === 'off' ? 'counts' : settings.fingerprint;
  const dumps = seen.databases.map((database): Entry => {
    const stream = () =>
      streamOf(
        pool.with((session) =>
          dumpDatabase({ session, database, title, level, fact: (one) => void facts.push(one), tableRead }),
        ),
      );
    return streamEntry(madeAttributes(dumpFileName(database.name), 'file', atMs), { cut: 'content' }, stream);
  });
  const accounts = settings.users
    ? [textEntry(accountsFile, async () => accountsText(seen.accounts, title), atMs)]
    : [];
  const files = {
    ...(settings.fingerprint !== 'off' && {
      [fingerprintFile]: async () => {
        await pool.finished(seen.databases.length);
        return JSON.stringify(fingerprintOf(seen.flavour, level, atMs, facts));
      },
    }),
    [serverFactsFile]: async () => JSON.stringify(serverFacts(source, seen, moment), null, 2),
  };
  return {
    paths: seen.databases.map(({ name }) => `/${dumpFolder}/${dumpFileName(name)}`),
    root: rootEntry([madeDirectory(dumpFolder, [...dumps, ...accounts], atMs), factsEntry(atMs, files)], atMs),
    complete: async () => {
      if (pool.ended !== seen.databases.length) throw notRead(source.name);
      await requireSame(source, seen);
    },
    notes: () => [...seen.notes, ...moment.notes],
    async [Symbol.asyncDispose]() {
      await moment[Symbol.asyncDispose]();
    },
  };
}

function notRead(name: string): HoldfastError {
  return new HoldfastError({
    code: 'internal',
    message: `not every dump of ${name} was read to its end`,
    remedy: 'Report it.',
  });
}

/** Facts in an order that does not depend on which database was read first. */
function fingerprintOf(flavour: Flavour, level: Level, takenAtMs: number, facts: readonly Fact[]): Fingerprint {
  const key = ({ subject, measure }: Fact): string => JSON.stringify([subject, measure]);
  const ordered = facts.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  return { format: 1, driver: flavour, algorithm: algorithms[level], takenAtMs, facts: ordered };
}

function serverFacts(source: Source, seen: Seen, moment: Moment): Record<string, unknown> {
  const { server } = seen;
  return {
    format: 1,
    server: { flavour: server.flavour, version: server.version, lowerCaseTableNames: server.lowerCaseTableNames },
    address: placeOf(source.settings).title,
    databases: Object.fromEntries(seen.databases.map(({ name }) => [name, dumpFileName(name)])),
    dumpedAs: { charset: 'utf8mb4', timeZone: '+00:00', sqlMode: 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES' },
    ...(moment.position && { binaryLog: moment.position }),
    accounts: source.settings.users,
    leftOut: { tables: source.settings.excludeTables, rows: source.settings.excludeTableData },
  };
}

/** `source.changed` if any definition, or the list of tables, is not what it was before the snapshot. */
async function requireSame(source: Source, seen: Seen): Promise<void> {
  await using session = await openSession(source);
  await prepareReader(session, seen.server);
  const names = seen.databases.map(({ name }) => name);
  const now = (await readAll(session, names, source.settings)).flatMap(definitionFacts);
  const before = seen.databases.flatMap(definitionFacts);
  const text = ({ subject, value }: Fact): string => `${subject}\n${value}`;
  const [had, has] = [new Set(before.map(text)), new Set(now.map(text))];
  const differs = [...before.filter((one) => !has.has(text(one))), ...now.filter((one) => !had.has(text(one)))];
  if (differs.length > 0) throw definitionChanged(differs[0].subject);
}
