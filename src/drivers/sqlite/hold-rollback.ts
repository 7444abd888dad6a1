/** Rollback-journal mode: a private copy, corrected under a short shared lock (`spool.ts`), is the state. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type DatabaseFiles, OverlayStream, plainState } from '../../protocols/sqlite/overlay.ts';
import type { SourceContext } from '../driver.ts';
import type { Held } from './held.ts';
import { explain, type HolderClient, startHolder } from './holder-client.ts';
import type { Fingerprinted, FingerprintLevel } from './messages.ts';
import { freeBytes, type Place } from './place.ts';
import type { Settings } from './settings.ts';
import { type Spooled, spoolDatabase } from './spool.ts';

/**
 * Copies, lets go of the source (disposes its holder), and gives the copy. The fingerprint is taken from the copy, which was
 * compared with the source byte for byte under the lock: holding writers for it would cost them its whole duration.
 */
export async function holdRollback(source: SourceContext<Settings>, place: Place, holder: HolderClient): Promise<Held> {
  const parent = source.settings.spoolDirectory ?? tmpdir();
  await requireRoom(parent, place);
  const directory = await mkdtemp(join(parent, 'holdfast-sqlite-'));
  const removeSpool = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const spoolPath = join(directory, 'copy.db');
    let pageBytes = 4096;
    source.report({ type: 'stage', stage: 'copy', subject: place.path });
    const spooled = await spoolDatabase({
      name: place.path,
      realPath: place.realPath,
      spoolPath,
      lock: async () => {
        pageBytes = await lockShared(holder, place);
      },
      unlock: async () => {
        await holder.ask({ ask: 'unhold' });
      },
      budgetMs: source.settings.maxWriterPauseMs,
      clock: source.clock,
      signal: source.signal,
    });
    await holder.ask({ ask: 'release' });
    await holder[Symbol.asyncDispose]();
    return await holdSpool(source, place, { spoolPath, pageBytes, spooled, removeSpool });
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    await removeSpool();
    throw explain(error, place.path);
  }
}

async function lockShared(holder: HolderClient, place: Place): Promise<number> {
  const held = await holder.ask({ ask: 'hold' });
  if (held.journalMode !== 'wal') return held.pageBytes;
  throw new HoldfastError({
    code: 'source.changed',
    message: `the database ${place.path} was switched to WAL while it was copied`,
    remedy: 'Run it again.',
    retry: 'now',
  });
}

async function requireRoom(directory: string, place: Place): Promise<void> {
  const free = await freeBytes(directory);
  if (free > place.sizeBytes) return;
  throw new HoldfastError({
    code: 'storage.full',
    message: `${directory} has ${formatBytes(free)} free, the copy of ${place.path} needs ${formatBytes(place.sizeBytes)}`,
    remedy: 'Set spoolDirectory to a directory with more room, or switch the database to WAL, which needs no copy.',
  });
}

interface Spool {
  readonly spoolPath: string;
  readonly pageBytes: number;
  readonly spooled: Spooled;
  readonly removeSpool: () => Promise<void>;
}

async function holdSpool(source: SourceContext<Settings>, place: Place, spool: Spool): Promise<Held> {
  const { spooled, pageBytes } = spool;
  const files: DatabaseFiles = { main: await open(spool.spoolPath, 'r') };
  const level = source.settings.fingerprint;
  const fingerprint = level === 'off' ? undefined : fingerprintOf(source, place, spool, level);
  fingerprint?.catch(() => {}); // whoever awaits it gets it; until then it is no unhandled rejection
  return {
    pageBytes,
    sizeBytes: spooled.sizeBytes,
    stream: () => new OverlayStream(files, plainState(pageBytes, spooled.sizeBytes), () => {}),
    fingerprint,
    facts: {
      writerPauseMs: Math.round(spooled.pauseMs),
      passes: spooled.passes,
      corrected: spooled.corrected,
    },
    notes: [
      `writers waited at most ${formatDuration(spooled.pauseMs)} (rollback journal, ${spooled.passes} passes); with PRAGMA journal_mode=WAL they would not wait at all`,
    ],
    complete: async () => {
      await fingerprint;
    },
    [Symbol.asyncDispose]: async () => {
      await fingerprint?.catch(() => {});
      await files.main.close();
      await spool.removeSpool();
    },
  };
}

async function fingerprintOf(
  source: SourceContext<Settings>,
  place: Place,
  spool: Spool,
  level: FingerprintLevel,
): Promise<Fingerprinted> {
  try {
    await using reader = await startHolder(source.host, source.signal);
    await reader.ask({ ask: 'open', path: spool.spoolPath, mode: 'frozen', busyMs: 0 });
    return await reader.ask({ ask: 'fingerprint', level });
  } catch (error) {
    throw explain(error, place.path);
  }
}
