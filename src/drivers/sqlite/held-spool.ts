/** A private copy of a database on this machine, as a held state: it stays as it is because nobody else knows of it. */
import { open } from 'node:fs/promises';
import { formatDuration } from '../../base/bytes.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import { type DatabaseFiles, OverlayStream, plainState } from '../../protocols/sqlite/overlay.ts';
import type { SourceContext } from '../driver.ts';
import type { Copyable, Held } from './held.ts';
import { explain, startHolder } from './holder-client.ts';
import type { Fingerprinted, FingerprintLevel } from './messages.ts';
import type { Settings } from './settings.ts';
import type { Spooled } from './spool.ts';
import { makeSpoolRoom, type SpoolRoom } from './spool-room.ts';

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

/**
 * Copies a held state and lets go of it: what comes after may take as long as it likes. Takes over `held`.
 * The fingerprint is taken from the copy.
 */
export async function copyFirst(source: SourceContext<Settings>, name: string, held: Copyable): Promise<Held> {
  const { pageBytes, sizeBytes, facts, notes } = held;
  await using state = held;
  const room = await makeSpoolRoom(source, name, sizeBytes);
  try {
    source.report({ type: 'stage', stage: 'copy', subject: name });
    await state.copyTo(room.copyPath);
    throwIfCancelled(source.signal);
    await state.complete();
    return await holdSpool(source, name, { room, pageBytes, sizeBytes, facts: { ...facts, copiedFirst: true }, notes });
  } catch (error) {
    throw await room.giveUp(error);
  }
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
