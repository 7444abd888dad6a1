/** A database made anew from a snapshot: as it was created, filled by pg_restore, then what belongs to the database itself. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { HostProcess } from '../../hosts/host.ts';
import type { SnapshotContents } from '../driver.ts';
import { explainProgram } from './failures.ts';
import type { Source } from './place.ts';
import { type Programs, programIn } from './programs.ts';
import type { Reach } from './reach.ts';
import { openSession, type Session } from './session.ts';
import type { DatabaseFacts } from './source-facts.ts';
import { databaseWord } from './sql-text.ts';
import { statementsAfter, statementsBefore } from './statements.ts';

/** A server to load into, with programs that reach it. */
export interface Loader {
  readonly source: Source;
  /** Of the server. */
  readonly major: number;
  readonly programs: Programs;
  readonly reach: Reach;
  readonly contents: SnapshotContents;
  /** Where a dump in the format directory may be written, on the programs' host. By default a private folder of this machine. */
  readonly spool?: string;
}

export interface LoadOptions {
  /** The new database; it exists and is empty. */
  readonly name: string;
  readonly withOwners: boolean;
  /** Numbers of the archive's entries to restore; all by default. */
  readonly entries?: string;
}

/** Fills an empty database. Every complaint of pg_restore is an error, `restore.failed`. Returns the bytes read from the snapshot. */
export async function load(loader: Loader, facts: DatabaseFacts, options: LoadOptions): Promise<number> {
  const timezone = await prepare(loader, facts, options);
  const list = options.entries === undefined ? undefined : await listFile(options.entries);
  try {
    const bytes =
      facts.format === 'custom'
        ? await loadStream(loader, facts, { ...options, timezone }, list?.path)
        : await loadDirectory(loader, facts, { ...options, timezone }, list?.path);
    await applyProperties(loader, facts, options);
    return bytes;
  } finally {
    await list?.remove();
  }
}

interface Loading extends LoadOptions {
  readonly timezone: string | undefined;
}

/** Returns the time zone to fill it in; `undefined`: the server's own. */
async function prepare(
  loader: Loader,
  facts: DatabaseFacts,
  { name, entries }: LoadOptions,
): Promise<string | undefined> {
  await using session = await openSession(loader.source, name);
  for (const statement of statementsBefore(facts, name, entries !== undefined)) await session.query(statement);
  return await knownTimezone(session, facts);
}

/**
 * The source's, if this server knows it: in another, a moment is on another day, which checks may refuse and materialised views
 * would show.
 */
async function knownTimezone(session: Session, { timezone }: DatabaseFacts): Promise<string | undefined> {
  if (timezone === undefined) return undefined;
  try {
    await session.query("SELECT pg_catalog.set_config('TimeZone', $1, true)", [timezone]);
    return timezone;
  } catch (error) {
    if (!isInvalidValue(error)) throw error;
    return undefined;
  }
}

function isInvalidValue(error: unknown): boolean {
  const { cause } = error as { readonly cause?: { readonly code?: unknown } };
  return cause?.code === '22023';
}

async function listFile(entries: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-'));
  await writeFile(join(directory, 'list'), entries, { mode: 0o600 });
  return { path: join(directory, 'list'), remove: () => rm(directory, { recursive: true, force: true }) };
}

async function loadStream(
  loader: Loader,
  facts: DatabaseFacts,
  options: Loading,
  list: string | undefined,
): Promise<number> {
  const process = await start(loader, options, [
    '--format=custom',
    ...(list === undefined ? [] : [`--use-list=${list}`]),
  ]);
  const { source, contents } = loader;
  const drained = drain(process);
  let bytes = 0;
  try {
    for await (const piece of contents.read(facts.path)) {
      throwIfCancelled(source.signal);
      bytes += piece.byteLength;
      source.report({ type: 'progress', stage: 'restore', bytesDone: bytes });
      // If it ends early, its exit status and its words are the reason.
      const isTaken = await process.write(piece).then(
        () => true,
        () => false,
      );
      if (!isTaken) break;
    }
    await process.endInput();
    await drained;
    await judge(loader, facts, process);
    return bytes;
  } finally {
    process.kill();
    await process.exit;
    await drained;
  }
}

async function loadDirectory(
  loader: Loader,
  facts: DatabaseFacts,
  options: Loading,
  list: string | undefined,
): Promise<number> {
  const { programs, contents, source, spool } = loader;
  const own =
    spool === undefined ? await mkdtemp(join(source.settings.spoolDirectory ?? tmpdir(), 'holdfast-')) : undefined;
  const directory = `${spool ?? own}/dump`;
  try {
    const { bytes } = await contents.writeTree(facts.path, directory, { host: programs.host, existing: 'make-equal' });
    const selection = list === undefined ? [] : [`--use-list=${list}`];
    const process = await start(loader, options, [
      '--format=directory',
      `--jobs=${source.settings.jobs}`,
      ...selection,
      directory,
    ]);
    try {
      await process.endInput();
      await drain(process);
      await judge(loader, facts, process);
    } finally {
      process.kill();
      await process.exit;
    }
    return bytes;
  } finally {
    if (own !== undefined) await rm(own, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function start(
  loader: Loader,
  { name, withOwners, timezone }: Loading,
  what: readonly string[],
): Promise<HostProcess> {
  const { programs, reach, source } = loader;
  return await programs.host.run({
    argv: [
      programIn(programs, 'pg_restore'),
      ...(setsUnknownTimeout(loader) ? [] : ['--exit-on-error']),
      '--no-password',
      '--no-tablespaces',
      ...(withOwners ? [] : ['--no-owner', '--no-privileges']),
      `--dbname=${databaseWord(name)}`,
      ...what,
    ],
    env: { ...reach.env, ...(timezone !== undefined && { PGTZ: timezone }) },
    signal: source.signal,
  });
}

async function drain(process: HostProcess): Promise<void> {
  try {
    for await (const _ of process.stdout);
  } catch {
    // cancelled: the exit status tells
  }
}

/** From 17 on pg_restore sets `transaction_timeout`, which older servers do not know; it cannot be told not to. */
function setsUnknownTimeout({ programs, major }: Loader): boolean {
  return programs.major >= 17 && major < 17;
}

async function judge(loader: Loader, facts: DatabaseFacts, process: HostProcess): Promise<void> {
  const { status, signal, stderr } = await process.exit;
  throwIfCancelled(loader.source.signal);
  if (status === 0 && !/^pg_restore: (?:error|warning)/m.test(stderr)) return;
  if (setsUnknownTimeout(loader) && signal === null && isOnlyUnknownTimeout(stderr)) return;
  if (signal === null)
    throw explainProgram(
      stderr || `it ended with status ${status}`,
      `restore the database ${facts.name}`,
      'restore.failed',
    );
  throw new HoldfastError({
    code: 'restore.failed',
    message: `pg_restore of ${facts.name} was ended by ${signal}`,
    remedy: 'Look for who ended it: the machine may have run out of memory. Then restore again.',
  });
}

/** What it writes at once when it complains of that; with several jobs these pieces come in any order. */
const aboutTimeout = [
  // The server says so in its own language.
  'could not execute query: [^\\n]*transaction_timeout[^\\n]*\\nCommand was: SET transaction_timeout = 0;',
  'warning: errors ignored on restore: \\d+',
  'while (?:INITIALIZING|PROCESSING TOC):',
  'pg_restore: |error: |\\s+',
];

/** True if every single thing pg_restore complained of is that one. */
export function isOnlyUnknownTimeout(stderr: string): boolean {
  return stderr.includes('transaction_timeout') && stderr.replace(new RegExp(aboutTimeout.join('|'), 'g'), '') === '';
}

async function applyProperties(loader: Loader, facts: DatabaseFacts, { name, withOwners }: LoadOptions): Promise<void> {
  await using session = await openSession(loader.source, name);
  for (const statement of statementsAfter(facts, name, withOwners)) await session.query(statement);
}

/** `restore.target-invalid` before anything is touched. */
export async function requireExtensions(
  session: Session,
  facts: readonly DatabaseFacts[],
  major: number,
): Promise<void> {
  const rows = await session.query('SELECT name FROM pg_catalog.pg_available_extensions');
  const available = new Set(rows.map(([name]) => name));
  const needed = new Set(facts.flatMap(({ extensions }) => extensions.map(({ name }) => name)));
  const missing = [...needed].filter((name) => !available.has(name));
  if (missing.length === 0) return;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `the server at ${session.place.title} lacks the extension${missing.length > 1 ? 's' : ''} ${missing.join(', ')}, which the dump needs`,
    remedy: `Install ${missing.length > 1 ? 'them' : 'it'} for PostgreSQL ${major}: ${missing.map((name) => packageOf(name, major)).join(' ')} (apt install …), then restore again.`,
  });
}

function packageOf(extension: string, major: number): string {
  const renamed: Record<string, string> = {
    postgis: 'postgis-3',
    postgis_raster: 'postgis-3',
    postgis_topology: 'postgis-3',
    vector: 'pgvector',
    pg_cron: 'cron',
  };
  return `postgresql-${major}-${renamed[extension] ?? extension.replaceAll('_', '-')}`;
}
