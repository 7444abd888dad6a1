/** One database on its way into the repository: pg_dump and the fingerprint, at the same time, in the same snapshot. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cancelled, HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import type { HostProcess } from '../../hosts/host.ts';
import type { Fact } from '../../model/fingerprint.ts';
import type { Entry } from '../driver.ts';
import { type ByteStream, madeAttributes, madeDirectory, streamEntry, streamOf } from '../entries.ts';
import { type Selection, unmatchedInAll } from './choice.ts';
import { explainProgram, lockConflict } from './failures.ts';
import { type Extent, nextValues, sequenceFacts, sequencesOf, takeFacts } from './fingerprint.ts';
import { type Held, hold, lockAttempts, sharedLockTimeoutMs } from './held.ts';
import { findLeftOut } from './left-out.ts';
import type { Source } from './place.ts';
import { type Programs, programIn } from './programs.ts';
import { type Reach, sameEveryDay } from './reach.ts';
import { type DatabaseFacts, dumpFolder, readDatabaseFacts, readRelations } from './source-facts.ts';
import { databaseWord, fileNameOf } from './sql-text.ts';

export interface DumpTools {
  readonly source: Source;
  readonly programs: Programs;
  readonly reach: Reach;
  readonly isStandby: boolean;
  /** No other database could have what is named and not in this one. */
  readonly isOnly: boolean;
}

export interface DatabaseTaken {
  readonly about: DatabaseFacts;
  readonly facts: readonly Fact[];
  readonly notes: readonly string[];
  readonly unmatched: Selection['unmatched'];
}

export class DatabaseDump implements AsyncDisposable {
  readonly database: string;
  /** Settles when the dump and the fingerprint are complete and consistent, or will never be. */
  readonly taken: Promise<DatabaseTaken>;
  isComplete = false;
  readonly #tools: DumpTools;
  readonly #settle: { resolve: (taken: DatabaseTaken) => void; reject: (error: unknown) => void };
  readonly #open = new AsyncDisposableStack();
  #process: HostProcess | undefined;
  #held: Held | undefined;

  constructor(database: string, tools: DumpTools) {
    this.database = database;
    this.#tools = tools;
    const { promise, resolve, reject } = Promise.withResolvers<DatabaseTaken>();
    this.taken = promise;
    this.#settle = { resolve, reject };
    // Who reads the dump has the error, too; nobody has to wait here.
    promise.catch(() => undefined);
  }

  /** A file for the format custom, else a folder. */
  entry(atMs: number): Entry {
    const name = fileNameOf(this.database);
    const layout = { cut: 'content' } as const;
    if (this.#tools.source.settings.format === 'custom') {
      return streamEntry(madeAttributes(`${name}.dump`, 'file', atMs), layout, () => streamOf(this.#custom()));
    }
    const folder = madeDirectory(name, [], atMs);
    return { ...folder, children: () => this.#directory(atMs) };
  }

  /** Ends everything that runs for it: processes first, then sessions. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#settle.reject(notRead(this.database));
    this.#process?.kill();
    await this.#process?.exit;
    await this.#open.disposeAsync();
  }

  async *#custom(): AsyncGenerator<Uint8Array> {
    try {
      const { begun, first, rest } = await this.#locked(() => this.#firstPiece());
      yield first;
      try {
        for await (const piece of rest) yield piece;
      } catch (error) {
        throw begun.failure() ?? error;
      }
      await this.#finish(begun);
    } catch (error) {
      this.#settle.reject(error);
      throwIfCancelled(this.#tools.source.signal);
      throw error;
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** pg_dump writes all of it before the first file is stored; each goes when it was read. */
  async #directory(atMs: number): Promise<Entry[]> {
    const { source } = this.#tools;
    try {
      const spool = await mkdtemp(join(source.settings.spoolDirectory ?? tmpdir(), 'holdfast-'));
      this.#open.defer(() => rm(spool, { recursive: true, force: true, maxRetries: 3 }));
      const folder = join(spool, 'dump');
      await this.#locked(async () => {
        await rm(folder, { recursive: true, force: true });
        const begun = await this.#begin([
          '--format=directory',
          `--file=${folder}`,
          `--jobs=${source.settings.jobs}`,
          '--no-sync',
        ]);
        try {
          for await (const _ of begun.process.stdout);
        } catch (error) {
          throw begun.failure() ?? error;
        }
        await this.#finish(begun);
      });
      const files = await source.local.files.list(folder, (_, error) => {
        throw error;
      });
      return files
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, size }) => {
          const attributes = { ...madeAttributes(name, 'file', atMs), size };
          return streamEntry(attributes, { cut: 'content' }, () => spooled(source, join(folder, name)));
        });
    } catch (error) {
      this.#settle.reject(error);
      await this[Symbol.asyncDispose]();
      throwIfCancelled(source.signal);
      throw error;
    }
  }

  /** pg_dump writes nothing before it has locked every table. */
  async #firstPiece(): Promise<{ begun: Begun; first: Uint8Array; rest: AsyncIterable<Uint8Array> }> {
    const begun = await this.#begin(['--format=custom']);
    const pieces = begun.process.stdout[Symbol.asyncIterator]();
    const { value, done } = await pieces.next().catch((error: unknown) => {
      throw begun.failure() ?? error;
    });
    if (done) await this.#finish(begun);
    return { begun, first: value ?? new Uint8Array(), rest: { [Symbol.asyncIterator]: () => pieces } };
  }

  /** Repeats a task with a new snapshot while pg_dump does not get its locks: somebody asked for a table between ours and its. */
  async #locked<T>(task: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await task();
      } catch (error) {
        const isPassing = hasCode(error, 'source.busy') && lockConflict.test(error.message);
        if (!isPassing || attempt === lockAttempts) throw error;
        await this.#held?.[Symbol.asyncDispose]();
      }
    }
  }

  async #begin(format: readonly string[]): Promise<Begun> {
    const { source, programs, reach, isStandby, isOnly } = this.#tools;
    const level = source.settings.fingerprint;
    const held = await hold(source, this.database, level === 'off' ? 1 : source.settings.jobs);
    this.#held = held;
    if (this.#open.disposed) {
      await held[Symbol.asyncDispose]();
      throw cancelled();
    }
    this.#open.use(held);
    const { selection } = held;
    if (isOnly) unmatchedInAll([{ name: this.database, unmatched: selection.unmatched }]);
    const largeObjects = await largeObjectExtent(held);
    const read = await readDatabaseFacts(held.session);
    const about: DatabaseFacts = {
      ...read,
      path: `/${dumpFolder}/${fileNameOf(this.database)}${source.settings.format === 'custom' ? '.dump' : ''}`,
      format: source.settings.format,
      relations: await readRelations(
        held.session,
        selection.relations.map(({ oid }) => oid),
      ),
      breadth: selection.breadth,
      leftOut: await findLeftOut(held.session, source.settings, selection, read.schemas),
      ...(selection.breadth === 'schemas' && { madeSchemas: read.schemas.filter(selection.hasSchema) }),
      makesPublic: selection.breadth === 'schemas' && read.schemas.includes('public') && selection.hasSchema('public'),
      largeObjects,
      includesUnlogged: !isStandby,
    };
    const hidden = selection.breadth === 'all' ? await hiddenMappings(held) : [];
    const before = await nextValues(held.session, sequencesOf(selection.relations, about));
    this.#process = await programs.host.run({
      argv: [
        programIn(programs, 'pg_dump'),
        ...format,
        '--compress=0',
        '--no-password',
        `--snapshot=${held.snapshot}`,
        `--lock-wait-timeout=${sharedLockTimeoutMs}`,
        ...selection.dumpArguments,
        // A part of a database needs its extensions as the whole does.
        ...(selection.breadth === 'schemas' && programs.major >= 14 ? ['--extension=*'] : []),
        `--dbname=${databaseWord(this.database)}`,
      ],
      env: { ...reach.env, ...sameEveryDay },
      signal: source.signal,
    });
    await this.#process.endInput();
    return { process: this.#process, held, about, hidden, before, ...this.#measure(held, about, this.#process) };
  }

  /** Runs beside the dump; if it fails, the dump is of no use. */
  #measure(held: Held, about: DatabaseFacts, process: HostProcess): { facts: Promise<Fact[]>; failure: () => unknown } {
    const { fingerprint: level } = this.#tools.source.settings;
    const extent: Extent = { ...about, level: level === 'off' ? 'counts' : level };
    let failure: unknown;
    const facts = level === 'off' ? Promise.resolve([]) : takeFacts({ ...held, extent });
    facts.catch((error: unknown) => {
      failure = error;
      process.kill();
    });
    return { facts, failure: () => failure };
  }

  async #finish({ process, held, about, hidden, before, facts, failure }: Begun): Promise<void> {
    const { status, signal, stderr } = await process.exit;
    this.#process = undefined;
    if (status !== 0) throw failure() ?? dumpFailed(this.database, stderr, signal);
    const measured = await facts;
    const measuredSequences = sequencesOf(held.selection.relations, about);
    const after = await nextValues(held.session, measuredSequences);
    await held.release();
    await held[Symbol.asyncDispose]();
    const sequences =
      this.#tools.source.settings.fingerprint === 'off' ? [] : sequenceFacts(measuredSequences, before, after);
    this.isComplete = true;
    this.#settle.resolve({
      about,
      facts: [...measured, ...sequences],
      notes: [...notesOf(held, about), ...hidden, ...warningsOf(this.database, stderr)],
      unmatched: held.selection.unmatched,
    });
  }
}

interface Begun {
  readonly process: HostProcess;
  readonly held: Held;
  readonly about: DatabaseFacts;
  /** What the user may not read, and pg_dump leaves out without a word. */
  readonly hidden: readonly string[];
  readonly before: ReadonlyMap<string, bigint>;
  readonly facts: Promise<Fact[]>;
  /** Why the fingerprint failed, if it did. */
  readonly failure: () => unknown;
}

async function spooled(source: Source, path: string): Promise<ByteStream> {
  const file = await source.local.files.open(path);
  return {
    read: (into) => file.read(into),
    async close() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}

async function largeObjectExtent({ session, selection }: Held): Promise<Extent['largeObjects']> {
  if (selection.breadth !== 'all') return 'none';
  return (await session.value("SELECT has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')")) === 't'
    ? 'content'
    : 'count';
}

async function hiddenMappings({ session, database }: Held): Promise<string[]> {
  const servers = await session.query(
    'SELECT DISTINCT srvname FROM pg_catalog.pg_user_mappings WHERE umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) ORDER BY 1',
  );
  if (servers.length === 0) return [];
  const names = servers.map(([name]) => name).join(', ');
  return [
    `${database}: the options (such as passwords) of user mappings for the foreign server(s) ${names} are not stored, because only a superuser may read them`,
  ];
}

function notesOf({ database, selection }: Held, { largeObjects, includesUnlogged }: DatabaseFacts): string[] {
  const { relations } = selection;
  const count = (fits: (one: (typeof relations)[number]) => boolean): number => relations.filter(fits).length;
  const foreign = count(({ kind }) => kind === 'f');
  const unlogged = count(({ kind, isUnlogged }) => kind === 'r' && isUnlogged);
  return [
    ...selection.notes.map((note) => `${database}: ${note}`),
    ...(foreign > 0
      ? [`${database}: the rows of ${foreign} foreign table(s) are elsewhere and not stored, only their definitions`]
      : []),
    ...(unlogged > 0 && !includesUnlogged
      ? [
          `${database}: the rows of ${unlogged} unlogged table(s) cannot be read at a standby and are not stored, nor the values of their sequences`,
        ]
      : []),
    ...(largeObjects === 'count'
      ? [`${database}: drills compare the number of large objects only, because the user may not read pg_largeobject`]
      : []),
  ];
}

/** What pg_dump says although it succeeds is about what it leaves out. */
function warningsOf(database: string, stderr: string): string[] {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const most = 10;
  const more = lines.length > most ? [`and ${lines.length - most} more lines`] : [];
  return [...lines.slice(0, most), ...more].map((line) => `${database}: ${line}`);
}

function dumpFailed(database: string, stderr: string, signal: string | null): HoldfastError {
  if (signal === null) return explainProgram(stderr, `dump ${database}`, 'source.unreadable');
  return new HoldfastError({
    code: 'host.command-failed',
    message: `pg_dump of ${database} was ended by ${signal}`,
    remedy: 'Look for who ended it: the machine may have run out of memory. Then run the backup again.',
    retry: 'later',
  });
}

function notRead(database: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `the dump of ${database} was not read to its end`,
    remedy: 'Back the source up again.',
    retry: 'later',
  });
}
