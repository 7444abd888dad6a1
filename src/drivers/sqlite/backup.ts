/** Brings a database into one consistent state and gives it as a capture. */
import { HoldfastError } from '../../base/errors.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import {
  type DatabaseHeader,
  databaseHeaderBytes,
  formatLibraryVersion,
  parseDatabaseHeader,
} from '../../protocols/sqlite/database-header.ts';
import type { Capture, SourceContext } from '../driver.ts';
import { factsEntry, rootEntry } from '../entries.ts';
import { captureOwn } from './capture-own.ts';
import { algorithms } from './fingerprint.ts';
import type { Held } from './held.ts';
import { copyFirst } from './held-spool.ts';
import { holdRollback } from './hold-rollback.ts';
import { holdWal } from './hold-wal.ts';
import { explain, type HolderClient, isHotJournal, startHolder } from './holder-client.ts';
import type { HeldState, Opened } from './messages.ts';
import { findDatabase, isLocal, type Place, resolveHere } from './place.ts';
import { captureFar } from './remote/capture-far.ts';
import { resolveThere } from './remote/far-files.ts';
import type { Settings } from './settings.ts';
import { type Content, entryAt } from './tree.ts';

/** Name of the facts about the database inside the facts folder. */
export const sourceFactsFile = 'source.json';
export const fingerprintFile = 'fingerprint.json';

/** What is held together with what was seen on the way to it. */
interface Captured {
  readonly place: Place;
  readonly held: Held;
  /** What read it: the library, and where it ran. */
  readonly readWith: string;
  readonly journalMode: string;
  readonly notes: readonly string[];
}

/** Errors: `source.missing`, `source.unreadable`, `source.unsupported`, `source.busy`, `source.changed`, each with a remedy. */
export async function capture(source: SourceContext<Settings>): Promise<Capture> {
  const captured = isLocal(source.host) ? await captureHere(source) : await captureFar(source);
  try {
    return await present(source, captured);
  } catch (error) {
    await captured.held[Symbol.asyncDispose]();
    throw error;
  }
}

async function captureHere(source: SourceContext<Settings>): Promise<Captured> {
  const place = await findDatabase(source.settings.path);
  if (place.isOwn) {
    const { held, opened } = await captureOwn(source, place);
    const { libraryVersion, journalMode } = opened;
    return { place, held, readWith: `SQLite ${libraryVersion}`, journalMode, notes: [] };
  }
  const holder = await startHolder(source.host, source.signal);
  try {
    const { opened, notes } = await openSource(source, place, holder);
    const state = await holder.ask({ ask: 'hold' });
    const held = await heldAs(source, place, { holder, opened, state });
    return { place, held, readWith: `SQLite ${opened.libraryVersion}`, journalMode: state.journalMode, notes };
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    throw explain(error, place.path);
  }
}

async function heldAs(
  source: SourceContext<Settings>,
  place: Place,
  { holder, opened, state }: { holder: HolderClient; opened: Opened; state: HeldState },
): Promise<Held> {
  if (state.journalMode === 'wal') {
    const held = await holdWal({ source, place, holder, holderPid: opened.pid, held: state });
    return source.settings.copyFirst ? await copyFirst(source, place.path, held) : held;
  }
  await holder.ask({ ask: 'unhold' });
  return await holdRollback(source, place, holder);
}

/** A read-only connection first: only a hot journal, which any program would roll back when it opens the database, needs more. */
async function openSource(source: SourceContext<Settings>, place: Place, holder: HolderClient) {
  const question = { ask: 'open', path: place.realPath, busyMs: source.settings.busyTimeoutMs } as const;
  try {
    return { opened: await holder.ask({ ...question, mode: 'snapshot' }), notes: [] };
  } catch (error) {
    if (!isHotJournal(error)) throw error;
    const opened = await holder.ask({ ...question, mode: 'recover' });
    const notes = [
      'a transaction that a crash had interrupted was rolled back, as any program does that opens the database',
    ];
    return { opened, notes };
  }
}

async function present(source: SourceContext<Settings>, captured: Captured): Promise<Capture> {
  const { place, held } = captured;
  const atMs = source.clock.nowMs();
  const notes = [...captured.notes, ...held.notes];
  const content: Content = {
    layout: { cut: 'pages', pageBytes: held.pageBytes },
    sizeBytes: held.sizeBytes,
    stream: () => held.stream(),
  };
  const header = await headerOf(held);
  const { host } = source;
  const resolve = isLocal(host) ? resolveHere : (path: string) => resolveThere(host, path);
  const database = await entryAt({ host, resolve }, place.path, content);
  const facts = factsEntry(atMs, {
    ...(held.fingerprint && { [fingerprintFile]: async () => JSON.stringify(await fingerprintOf(source, held, atMs)) }),
    [sourceFactsFile]: async () => JSON.stringify(sourceFacts(captured, header), null, 2),
  });
  return {
    paths: [place.path],
    root: rootEntry([database, facts], atMs),
    bytesTotal: held.sizeBytes,
    complete: async () => {
      const taken = await held.fingerprint;
      notes.push(...(taken?.gaps ?? []));
      await held.complete();
    },
    notes: () => notes,
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}

/** The held state's own: the main file's may be older while its newest page 1 lies in the WAL. */
async function headerOf(held: Held): Promise<DatabaseHeader | undefined> {
  const head = Buffer.alloc(databaseHeaderBytes);
  const stream = await held.stream();
  try {
    return parseDatabaseHeader(head.subarray(0, await stream.read(head)));
  } finally {
    await stream.close?.();
  }
}

async function fingerprintOf(source: SourceContext<Settings>, held: Held, atMs: number): Promise<Fingerprint> {
  const taken = await held.fingerprint;
  const level = source.settings.fingerprint;
  if (taken === undefined || level === 'off') {
    throw new HoldfastError({ code: 'internal', message: 'no fingerprint was taken', remedy: 'Report it.' });
  }
  return { format: 1, driver: 'sqlite', algorithm: algorithms[level], takenAtMs: atMs, facts: taken.facts };
}

function sourceFacts(captured: Captured, header: DatabaseHeader | undefined): Record<string, unknown> {
  const { place, held, readWith, journalMode } = captured;
  return {
    path: place.path,
    ...(place.realPath !== place.path && { realPath: place.realPath }),
    readWith,
    journalMode,
    pageBytes: held.pageBytes,
    pageCount: held.sizeBytes / held.pageBytes,
    ...(header && {
      lastWrittenWith: `SQLite ${formatLibraryVersion(header.writerVersion)}`,
      encoding: header.encoding,
      userVersion: header.userVersion,
      applicationId: header.applicationId,
    }),
    ...held.facts,
  };
}
