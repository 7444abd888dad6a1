/** A private copy of a database on this machine, as a held state: it stays as it is because nobody else knows of it. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type DatabaseFiles, OverlayStream, plainState } from '../../protocols/sqlite/overlay.ts';
import type { SourceContext } from '../driver.ts';
import type { Held } from './held.ts';
import { explain, startHolder } from './holder-client.ts';
import type { Fingerprinted, FingerprintLevel } from './messages.ts';
import { freeBytes } from './place.ts';
import type { Settings } from './settings.ts';
import type { Spooled } from './spool.ts';

/** A private directory for a copy. */
export interface SpoolRoom {
  readonly directory: string;
  readonly copyPath: string;
  remove(): Promise<void>;
}

/** `storage.full` unless there is room for `neededBytes`. */
export async function makeSpoolRoom(
  source: SourceContext<Settings>,
  name: string,
  neededBytes: number,
): Promise<SpoolRoom> {
  const parent = source.settings.spoolDirectory ?? tmpdir();
  const free = await freeBytes(parent);
  if (free <= neededBytes) throw noRoom(parent, free, name, neededBytes);
  const directory = await mkdtemp(join(parent, 'holdfast-sqlite-'));
  return {
    directory,
    copyPath: join(directory, 'copy.db'),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

function noRoom(directory: string, free: number, name: string, needed: number): HoldfastError {
  return new HoldfastError({
    code: 'storage.full',
    message: `${directory} has ${formatBytes(free)} free, the copy of ${name} needs ${formatBytes(needed)}`,
    remedy:
      'Set spoolDirectory to a directory with more room. A database in WAL mode needs no copy if it is on this machine, or on a host with python3.',
  });
}

/** What a snapshot says of a copy whose last comparison made writers wait. */
export function rollbackReport(spooled: Spooled): Pick<SpoolCopy, 'facts' | 'notes'> {
  return {
    facts: {
      writerPauseMs: Math.round(spooled.pauseMs),
      passes: spooled.passes,
      corrected: spooled.corrected,
    },
    notes: [
      `writers waited at most ${formatDuration(spooled.pauseMs)} (rollback journal, ${spooled.passes} passes); with PRAGMA journal_mode=WAL they would not wait at all`,
    ],
  };
}

export interface SpoolCopy {
  readonly room: SpoolRoom;
  readonly pageBytes: number;
  readonly sizeBytes: number;
  readonly facts: Held['facts'];
  readonly notes: readonly string[];
}

/** Disposing the result removes the room. The fingerprint is taken from the copy, by a process of this machine. */
export async function holdSpool(source: SourceContext<Settings>, name: string, copy: SpoolCopy): Promise<Held> {
  const { room, pageBytes, sizeBytes } = copy;
  const files: DatabaseFiles = { main: await open(room.copyPath, 'r') };
  const level = source.settings.fingerprint;
  const fingerprint = level === 'off' ? undefined : fingerprintOf(source, name, room.copyPath, level);
  fingerprint?.catch(() => {}); // whoever awaits it gets it; until then it is no unhandled rejection
  return {
    pageBytes,
    sizeBytes,
    stream: () => new OverlayStream(files, plainState(pageBytes, sizeBytes), () => {}),
    fingerprint,
    facts: copy.facts,
    notes: copy.notes,
    complete: async () => {
      await fingerprint;
    },
    [Symbol.asyncDispose]: async () => {
      await fingerprint?.catch(() => {});
      await files.main.close();
      await room.remove();
    },
  };
}

async function fingerprintOf(
  source: SourceContext<Settings>,
  name: string,
  copyPath: string,
  level: FingerprintLevel,
): Promise<Fingerprinted> {
  try {
    await using reader = await startHolder(source.local, source.signal);
    await reader.ask({ ask: 'open', path: copyPath, mode: 'frozen', busyMs: 0 });
    return await reader.ask({ ask: 'fingerprint', level });
  } catch (error) {
    throw explain(error, name);
  }
}
