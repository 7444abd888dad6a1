/**
 * A database that this process itself works with: the catalogue, in the server. To open its files here, as other captures do,
 * would cost it its locks (`base/open-databases.ts`), so a process of its own makes the copy, by SQLite's backup (one read
 * transaction in WAL mode: writers never wait). Everything after is done with that copy.
 */
import { open } from 'node:fs/promises';
import type { SourceContext } from '../driver.ts';
import type { Held } from './held.ts';
import { holdSpool } from './held-spool.ts';
import { explain, type HolderClient, startHolder } from './holder-client.ts';
import type { CopiedState, Opened } from './messages.ts';
import { type Place, walBytes } from './place.ts';
import type { Settings } from './settings.ts';
import { makeSpoolRoom } from './spool-room.ts';

export interface OwnCapture {
  readonly held: Held;
  readonly opened: Opened;
}

/** Needs room for one copy in `spoolDirectory`. Errors: `storage.full`, `source.busy`, what SQLite refuses, `cancelled`. */
export async function captureOwn(source: SourceContext<Settings>, place: Place): Promise<OwnCapture> {
  // At most: what lies in the log may be newer versions of pages, or more of them.
  const room = await makeSpoolRoom(source, place.path, place.sizeBytes + (await walBytes(place.realPath)));
  try {
    await using holder = await startHolder(source.local, source.signal);
    source.report({ type: 'stage', stage: 'copy', subject: place.path });
    // Made here, for its owner alone; SQLite fills it.
    await (await open(room.copyPath, 'wx', 0o600)).close();
    const { opened, pageBytes, sizeBytes } = await copyThere(holder, source, {
      from: place.realPath,
      to: room.copyPath,
    });
    const copy = { room, pageBytes, sizeBytes, facts: { copiedFirst: true, writerPauseMs: 0 }, notes: [] };
    return { held: await holdSpool(source, place.path, copy), opened };
  } catch (error) {
    throw explain(await room.giveUp(error), place.path);
  }
}

async function copyThere(
  holder: HolderClient,
  source: SourceContext<Settings>,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<CopiedState & { readonly opened: Opened }> {
  const opened = await holder.ask({ ask: 'open', path: from, mode: 'snapshot', busyMs: source.settings.busyTimeoutMs });
  const copied = await holder.ask({ ask: 'copy', to });
  await holder.ask({ ask: 'release' });
  return { ...copied, opened };
}
