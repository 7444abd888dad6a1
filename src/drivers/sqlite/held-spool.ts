/** A private copy of a database on this machine, as a held state: it stays as it is because nobody else knows of it. */
import { open } from 'node:fs/promises';
import { formatDuration } from '../../base/bytes.ts';
import { type DatabaseFiles, OverlayStream, plainState } from '../../protocols/sqlite/overlay.ts';
import type { SourceContext } from '../driver.ts';
import type { Held } from './held.ts';
import { explain, startHolder } from './holder-client.ts';
import type { Fingerprinted, FingerprintLevel } from './messages.ts';
import type { Settings } from './settings.ts';
import type { Spooled } from './spool.ts';
import type { SpoolRoom } from './spool-room.ts';

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
