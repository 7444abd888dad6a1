/** Brings a server's databases, one after the other, into a consistent state each, and gives them as a capture. */
import { HoldfastError } from '../../base/errors.ts';
import type { Fact } from '../../model/fingerprint.ts';
import type { Capture, Entry } from '../driver.ts';
import { factsEntry, madeAttributes, madeDirectory, rootEntry, streamEntry, streamOf } from '../entries.ts';
import { chooseDatabases, type Unmatched, unmatchedInAll, warningOf } from './choice.ts';
import { DatabaseDump, type DatabaseTaken } from './dump.ts';
import { asFingerprint, roleFacts } from './fingerprint.ts';
import { dumpGlobals } from './globals.ts';
import { placeOf, type Source } from './place.ts';
import { findClient, type Programs } from './programs.ts';
import { type Reach, reachServer } from './reach.ts';
import { storedRunbook } from './runbook.ts';
import { openSession, type Session, serverVersion } from './session.ts';
import { dumpFolder, globalsFile, type SourceFacts, toolsFile } from './source-facts.ts';

/** What was found before the first byte is read. */
interface Server {
  readonly version: { readonly major: number; readonly text: string };
  readonly isStandby: boolean;
  readonly isSuperuser: boolean;
  readonly databases: readonly string[];
  /** Patterns of «databases» that none fits. */
  readonly unmatched: readonly Unmatched[];
  readonly notes: readonly string[];
  /** Names of settings that hold for all roles in all databases, which pg_dumpall does not store. */
  readonly forAll: string;
}

/** Errors: `host.unreachable`, `host.command-missing`, `source.missing`, `source.unreadable`, `source.busy`, `source.unsupported`. */
export async function capture(source: Source): Promise<Capture> {
  await using opening = new AsyncDisposableStack();
  const session = opening.use(await openSession(source));
  const server = await lookAt(source, session);
  const { major } = server.version;
  const programs = await findClient(source, { atLeast: major, prefer: major });
  if (source.settings.format === 'directory' && programs.host.kind !== 'local') throw needsLocalClient();
  const reach = opening.use(await reachServer(source, programs.host));
  const tools = { source, programs, reach, isStandby: server.isStandby, isOnly: server.databases.length === 1 };
  const dumps = server.databases.map((database) => opening.use(new DatabaseDump(database, tools)));
  const taking = new Taking(source, { server, programs, reach, session, dumps });
  return present(source, taking, opening.move());
}

export async function lookAt(source: Source, session: Session): Promise<Server> {
  const version = await serverVersion(session);
  const [[standby, superuser, forAll] = []] = await session.query(
    `SELECT pg_is_in_recovery(), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
      (SELECT string_agg(split_part(one, '=', 1), ', ') FROM pg_db_role_setting, unnest(setconfig) one WHERE setrole = 0 AND setdatabase = 0)`,
  );
  const { names, unmatched, notes } = await chooseDatabases(session, source.settings, placeOf(source.settings));
  return {
    version,
    isStandby: standby === 't',
    isSuperuser: superuser === 't',
    databases: names,
    unmatched,
    notes,
    forAll: forAll ?? '',
  };
}

interface Parts {
  readonly server: Server;
  readonly programs: Programs;
  readonly reach: Reach;
  readonly session: Session;
  readonly dumps: readonly DatabaseDump[];
}

/** What comes in while the dumps are read. */
class Taking {
  readonly parts: Parts;
  readonly notes: string[] = [];
  readonly #source: Source;
  #all: Promise<{ databases: readonly DatabaseTaken[]; roles: readonly Fact[] }> | undefined;

  constructor(source: Source, parts: Parts) {
    this.#source = source;
    this.parts = parts;
    this.notes.push(...firstNotes(source, parts));
  }

  globals(): Promise<Buffer> {
    return dumpGlobals(this.#source, { ...this.parts, withPasswords: this.parts.server.isSuperuser });
  }

  /** Waits for every dump. */
  all(): Promise<{ databases: readonly DatabaseTaken[]; roles: readonly Fact[] }> {
    this.#all ??= this.#gather();
    return this.#all;
  }

  async fingerprint(atMs: number): Promise<string> {
    const { databases, roles } = await this.all();
    const several = databases.length > 1;
    const facts = databases.flatMap(({ about, facts }) =>
      several ? facts.map((fact) => ({ ...fact, subject: inDatabase(about.name, fact.subject) })) : facts,
    );
    const level = this.#source.settings.fingerprint === 'counts' ? 'counts' : 'full';
    return JSON.stringify(asFingerprint(level, atMs, [...facts, ...roles]));
  }

  async facts(): Promise<SourceFacts> {
    const { databases } = await this.all();
    const { server, programs } = this.parts;
    return {
      format: 1,
      server: {
        version: server.version.text,
        major: server.version.major,
        place: placeOf(this.#source.settings).title,
        standby: server.isStandby,
      },
      client: { version: programs.version, major: programs.major, ran: programs.host.name },
      globals: this.#source.settings.globals,
      passwords: server.isSuperuser,
      databases: databases.map(({ about }) => about),
    };
  }

  async #gather(): Promise<{ databases: readonly DatabaseTaken[]; roles: readonly Fact[] }> {
    const databases = await Promise.all(this.parts.dumps.map(({ taken }) => taken));
    const unmatched = unmatchedInAll(databases.map(({ about, unmatched }) => ({ name: about.name, unmatched })));
    this.notes.push(...unmatched.map(warningOf), ...databases.flatMap(({ notes }) => notes));
    const { globals, fingerprint } = this.#source.settings;
    const roles = globals && fingerprint !== 'off' ? await roleFacts(this.parts.session) : [];
    return { databases, roles };
  }
}

/** The subject of a fact where there are several databases. */
export function inDatabase(database: string, subject: string): string {
  return `${database}: ${subject}`;
}

function present(source: Source, taking: Taking, opened: AsyncDisposableStack): Capture {
  const atMs = source.clock.nowMs();
  const { settings } = source;
  const { dumps } = taking.parts;
  const { title } = placeOf(settings);
  const globals = streamEntry(madeAttributes(globalsFile, 'file', atMs), { cut: 'content' }, async () =>
    streamOf([await taking.globals()]),
  );
  const children: Entry[] = [...(settings.globals ? [globals] : []), ...dumps.map((dump) => dump.entry(atMs))];
  const facts = factsEntry(atMs, {
    ...(settings.fingerprint !== 'off' && { 'fingerprint.json': () => taking.fingerprint(atMs) }),
    [toolsFile]: async () => JSON.stringify(await taking.facts(), null, 2),
    'runbook.md': async () => storedRunbook(await taking.facts()),
  });
  return {
    paths:
      dumps.length === 1 && settings.databases === undefined
        ? [`${title}/${encodeURIComponent(dumps[0].database)}`]
        : [title],
    root: rootEntry([madeDirectory(dumpFolder, children, atMs), facts], atMs),
    async complete() {
      await taking.all();
      const open = dumps.find(({ isComplete }) => !isComplete);
      if (open)
        throw new HoldfastError({
          code: 'internal',
          message: `the dump of ${open.database} is not complete`,
          remedy: 'Report it.',
        });
    },
    notes: () => taking.notes,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function firstNotes({ settings }: Source, { server, programs, dumps }: Parts): string[] {
  return [
    ...(settings.globals && !server.isSuperuser
      ? ['roles are stored without their passwords, because the user is no superuser']
      : []),
    ...(settings.globals && server.forAll !== ''
      ? [
          `what ALTER ROLE ALL SET gave to every role (${server.forAll}) is not stored, because pg_dumpall leaves it out`,
        ]
      : []),
    ...(dumps.length > 1
      ? [
          `the ${dumps.length} databases are one moment each, some time apart: PostgreSQL has no snapshot across databases`,
        ]
      : []),
    ...server.unmatched.map(warningOf),
    ...server.notes,
    ...(server.isStandby ? ['the server is a standby: the state is that of its primary some time ago'] : []),
    ...(programs.major > server.version.major
      ? [`pg_dump ${programs.version} was used for a server of version ${server.version.text}`]
      : []),
  ];
}

function needsLocalClient(): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: 'the format directory needs pg_dump on this machine, and a suitable one is only on the host of the source',
    remedy: 'Install postgresql-client here, or use format: custom.',
  });
}
