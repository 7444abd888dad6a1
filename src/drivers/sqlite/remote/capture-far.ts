/** Brings a database of another host into one consistent state: see the README for the ways and why each is consistent. */
import { join } from 'node:path';
import { formatDuration } from '../../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../../base/errors.ts';
import type { Host } from '../../../hosts/host.ts';
import type { SourceContext } from '../../driver.ts';
import type { Held } from '../held.ts';
import { holdSpool, rollbackReport } from '../held-spool.ts';
import { switchedToWal } from '../hold-rollback.ts';
import { explain, SqliteRefusal } from '../holder-client.ts';
import { sqliteCode } from '../messages.ts';
import type { Place } from '../place.ts';
import type { Settings } from '../settings.ts';
import { spoolDatabase } from '../spool.ts';
import { makeSpoolRoom, type SpoolRoom } from '../spool-room.ts';
import { BlockDigests } from './block-digests.ts';
import type { Copied } from './copy-request.ts';
import { copyUnlocked } from './copy-unlocked.ts';
import { findFarDatabase, headOf, lookAt } from './far-files.ts';
import { startGuard } from './far-guard.ts';
import { holdStreamed } from './hold-streamed.ts';
import type { ExactFarHolder, FarHolder } from './lock-holder.ts';
import { openWithPython } from './python-holder.ts';
import { openWithShell } from './shell-holder.ts';
import { farMain } from './spool-far.ts';
import { chooseWay, describeWay, type Way } from './way.ts';

type Source = SourceContext<Settings>;

export interface FarCapture {
  readonly place: Place;
  readonly held: Held;
  /** What read it, for the snapshot's facts. */
  readonly readWith: string;
  readonly journalMode: string;
  readonly notes: readonly string[];
}

/** How long a database that was written to is left alone before the next try; doubled each time. */
const backoffMs = 250;
const longestBackoffMs = 8000;

/** Errors: `source.*`, `storage.full`, `host.*`, each with a remedy. */
export async function captureFar(source: Source): Promise<FarCapture> {
  const { host, settings, signal } = source;
  const place = await findFarDatabase(host, settings.path);
  const way = await chooseWay(host, settings, signal);
  const opened = await openFar(source, place, way);
  if (opened === undefined) return await captureUnlocked(source, place, [reasonFor(way, host)]);
  const { holder, notes } = opened;
  const facts = { place, readWith: describeWay(way, host), journalMode: holder.journalMode, notes };
  try {
    if (holder.journalMode !== 'wal') return { ...facts, held: await holdRollbackFar(source, place, holder) };
    if (!isExact(holder)) return { ...facts, held: await holdLockedCopy(source, place, holder) };
    const state = await holder.hold();
    const { walIndex } = state;
    if (walIndex === undefined) throw switchedFromWal(place.path);
    return { ...facts, held: await holdStreamed({ source, place, holder, state: { ...state, walIndex } }) };
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    // no lock can be held there: a directory that may not be written to, a file system without locks
    if (hasCode(error, 'source.unsupported') && settings.hold === 'auto') {
      return await captureUnlocked(source, place, [reasonFor(way, host)]);
    }
    throw explain(error, place.path);
  }
}

function isExact(holder: FarHolder): holder is ExactFarHolder {
  return 'fingerprint' in holder;
}

function reasonFor(way: Way, host: Host): string {
  if (way.by === 'none')
    return `no program held the database on ${host.name} while it was copied: that it is one state was proven from its files`;
  return `${way.by} on ${host.name} may not lock the database (it has no write access to its directory): that the copy is one state was proven from its files`;
}

/** The database opened by the program the way names; `undefined` if there is none, or it may not, and the settings leave the choice. */
async function openFar(
  source: Source,
  place: Place,
  way: Way,
): Promise<{ holder: FarHolder; notes: readonly string[] } | undefined> {
  if (way.by === 'none') return undefined;
  const { host, settings, signal } = source;
  const open = way.by === 'python3' ? openWithPython : openWithShell;
  const request = { path: place.realPath, mode: 'snapshot', busyMs: settings.busyTimeoutMs } as const;
  try {
    return { holder: await open(host, request, signal), notes: [] };
  } catch (error) {
    if (!needsWrite(error)) throw explain(error, place.path);
    const [first] = await headOf(host, `${place.realPath}-journal`, 1);
    if (!first && settings.hold === 'auto') return undefined;
    if (!first) throw explain(error, place.path);
  }
  const holder = await open(host, { ...request, mode: 'recover' }, signal).catch((error: unknown) => {
    throw explain(error, place.path);
  });
  return {
    holder,
    notes: ['a transaction that a crash had interrupted was rolled back, as any program does that opens the database'],
  };
}

function needsWrite(error: unknown): boolean {
  if (!(error instanceof SqliteRefusal)) return false;
  return [sqliteCode.readOnly, sqliteCode.cannotOpen].some((code) => code === (error.code & 0xff));
}

/** The shell cannot say which commit it holds, so the copy proves itself; the lock makes that the proof succeeds. */
async function holdLockedCopy(source: Source, place: Place, holder: FarHolder): Promise<Held> {
  const state = await holder.hold();
  if (state.journalMode !== 'wal') throw switchedFromWal(place.path);
  const guard = await startGuard(source, place, holder);
  const guarded = { ...source, signal: AbortSignal.any([source.signal, guard.lost]) };
  try {
    return await copyToSpool(guarded, place, async () => {
      await holder.release();
      await holder[Symbol.asyncDispose]();
    });
  } catch (error) {
    throw guard.failure()?.error ?? error;
  } finally {
    await guard.stop();
  }
}

async function captureUnlocked(source: Source, place: Place, notes: readonly string[]): Promise<FarCapture> {
  const held = await copyToSpool(source, place, async () => {});
  const readWith = describeWay({ by: 'none' }, source.host);
  return { place, held, readWith, journalMode: String(held.facts.journal), notes };
}

async function copyToSpool(source: Source, place: Place, release: () => Promise<void>): Promise<Held> {
  const log = await lookAt(source.host, `${place.realPath}-wal`);
  const room = await makeSpoolRoom(source, place.path, place.sizeBytes + (log?.size ?? 0));
  try {
    const { copied, tries } = await copyProven(source, place, room);
    await release();
    return await holdSpool(source, place.path, {
      room,
      pageBytes: copied.pageBytes,
      sizeBytes: copied.sizeBytes,
      facts: {
        journal: copied.journal,
        walPagesLaidOver: copied.laidOver,
        walBytesLaidOver: copied.laidOver * copied.pageBytes,
        writerPauseMs: 0,
        tries,
      },
      notes: [],
    });
  } catch (error) {
    throw await room.giveUp(error);
  }
}

/** Tries until a copy proves itself. `source.busy` when none of them did. */
async function copyProven(source: Source, place: Place, room: SpoolRoom): Promise<{ copied: Copied; tries: number }> {
  const { host, clock, signal, settings } = source;
  const request = { host, place, copyPath: room.copyPath, logPath: join(room.directory, 'log'), clock, signal };
  const startedMs = clock.monotonicMs();
  let why = '';
  for (let tries = 1; tries <= settings.attempts; tries++) {
    source.report({ type: 'stage', stage: 'copy', subject: place.path });
    const copied = await copyUnlocked(request);
    if (!('unproven' in copied)) return { copied, tries };
    why = copied.unproven;
    if (tries === settings.attempts) break;
    // part of it by chance, so as not to walk in step with a program that writes at regular times
    const waitMs = Math.min(longestBackoffMs, backoffMs * 2 ** (tries - 1)) * (0.5 + Math.random());
    await clock.sleep(waitMs, { signal });
  }
  throw neverQuiet(source, place, why, clock.monotonicMs() - startedMs);
}

function neverQuiet(source: Source, place: Place, why: string, tookMs: number): HoldfastError {
  const { host, settings } = source;
  return new HoldfastError({
    code: 'source.busy',
    message: `no consistent copy of ${place.path} on ${host.name} in ${settings.attempts} tries (${formatDuration(tookMs)}): ${why}`,
    remedy:
      'Install python3 or sqlite3 there, which hold the database in one state while it is copied; or back up when less is written; or raise «attempts». If a program was stopped in the midst of writing, start it once: it rolls that back.',
    retry: 'later',
    context: { attempts: settings.attempts },
  });
}

async function holdRollbackFar(source: Source, place: Place, holder: FarHolder): Promise<Held> {
  const { host, clock, signal, settings } = source;
  const room = await makeSpoolRoom(source, place.path, place.sizeBytes);
  const far = { host, realPath: place.realPath, clock, signal };
  await using digests = new BlockDigests(far);
  try {
    let pageBytes = 4096;
    source.report({ type: 'stage', stage: 'copy', subject: place.path });
    const spooled = await spoolDatabase({
      name: place.path,
      main: farMain(far, isExact(holder) ? digests : undefined),
      spoolPath: room.copyPath,
      lock: async () => {
        const state = await holder.hold();
        if (state.journalMode === 'wal') throw switchedToWal(place.path);
        pageBytes = state.pageBytes;
      },
      unlock: () => holder.unhold(),
      budgetMs: settings.maxWriterPauseMs,
      clock,
      signal,
    });
    await holder.release();
    await holder[Symbol.asyncDispose]();
    const copy = { room, pageBytes, sizeBytes: spooled.sizeBytes, ...rollbackReport(spooled) };
    return await holdSpool(source, place.path, copy);
  } catch (error) {
    throw await room.giveUp(error);
  }
}

function switchedFromWal(path: string): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: `the database ${path} was switched from WAL to another journal mode while it was opened`,
    remedy: 'Run it again.',
    retry: 'now',
  });
}
