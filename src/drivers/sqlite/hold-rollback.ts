/** Rollback-journal mode: a private copy, corrected under a short shared lock (`spool.ts`), is the state. */
import { HoldfastError } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import type { Held } from './held.ts';
import { holdSpool, rollbackReport } from './held-spool.ts';
import { explain, type HolderClient } from './holder-client.ts';
import type { Place } from './place.ts';
import type { Settings } from './settings.ts';
import { spoolDatabase } from './spool.ts';
import { localMain } from './spool-local.ts';
import { makeSpoolRoom } from './spool-room.ts';

/**
 * Copies, lets go of the source (disposes its holder), and gives the copy. The fingerprint is taken from the copy, which was
 * compared with the source byte for byte under the lock: holding writers for it would cost them its whole duration.
 */
export async function holdRollback(source: SourceContext<Settings>, place: Place, holder: HolderClient): Promise<Held> {
  const room = await makeSpoolRoom(source, place.path, place.sizeBytes);
  try {
    let pageBytes = 4096;
    source.report({ type: 'stage', stage: 'copy', subject: place.path });
    await using main = await localMain(place.realPath, source);
    const spooled = await spoolDatabase({
      name: place.path,
      main,
      spoolPath: room.copyPath,
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
    const copy = { room, pageBytes, sizeBytes: spooled.sizeBytes, ...rollbackReport(spooled) };
    return await holdSpool(source, place.path, copy);
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    throw explain(await room.giveUp(error), place.path);
  }
}

async function lockShared(holder: HolderClient, place: Place): Promise<number> {
  const held = await holder.ask({ ask: 'hold' });
  if (held.journalMode !== 'wal') return held.pageBytes;
  throw switchedToWal(place.path);
}

export function switchedToWal(path: string): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: `the database ${path} was switched to WAL while it was copied`,
    remedy: 'Run it again.',
    retry: 'now',
  });
}
