/** What can be said of a SQLite source before it is backed up. */
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Finding, SourceContext } from '../driver.ts';
import { explain, isHotJournal, startHolder } from './holder-client.ts';
import { findDatabase, isLocal, type Place, walBytes } from './place.ts';
import { probeFar } from './remote/probe-far.ts';
import type { Settings } from './settings.ts';

/** Never throws for a state of the source: it becomes a finding. */
export async function probe(source: SourceContext<Settings>): Promise<Finding[]> {
  try {
    if (!isLocal(source.host)) return await probeFar(source);
    const place = await findDatabase(source.settings.path);
    return [
      { level: 'ok', message: `${place.path} is a SQLite database of ${formatBytes(place.sizeBytes)}` },
      ...(await openable(source, place)),
    ];
  } catch (error) {
    const known = explain(error, source.settings.path);
    if (!(known instanceof HoldfastError) || known.code === 'cancelled') throw known;
    return [{ level: 'error', message: known.message, remedy: known.remedy }];
  }
}

async function openable(source: SourceContext<Settings>, place: Place): Promise<Finding[]> {
  await using holder = await startHolder(source.host, source.signal);
  try {
    const question = {
      ask: 'open',
      path: place.realPath,
      mode: 'snapshot',
      busyMs: source.settings.busyTimeoutMs,
    } as const;
    const { journalMode, libraryVersion } = await holder.ask(question);
    await holder.ask({ ask: 'release' });
    const readable: Finding = { level: 'ok', message: `it opens with SQLite ${libraryVersion}` };
    return [readable, await journalFinding(place, journalMode)];
  } catch (error) {
    if (!isHotJournal(error)) throw error;
    return [
      {
        level: 'warning',
        message:
          'a crash left a transaction that has to be rolled back; the next program that opens the database does so',
        remedy: 'Start the program the database belongs to, or let the first backup do it.',
      },
    ];
  }
}

async function journalFinding(place: Place, journalMode: string): Promise<Finding> {
  if (journalMode === 'wal') {
    const log = formatBytes(await walBytes(place.realPath));
    return { level: 'ok', message: `WAL mode (${log} in the log): writers do not wait for backups` };
  }
  return {
    level: 'warning',
    message: 'rollback-journal mode: writers wait for the last moment of each backup, and a temporary copy is needed',
    remedy:
      'Run PRAGMA journal_mode=WAL once (it is kept in the file), unless the database lies on a network file system.',
  };
}
