/** What can be said of a database on another host before it is backed up: above all, which way it will be held, and why. */
import { tmpdir } from 'node:os';
import { formatBytes } from '../../../base/bytes.ts';
import type { Host } from '../../../hosts/host.ts';
import type { Finding, SourceContext } from '../../driver.ts';
import { freeBytes, type Place } from '../place.ts';
import type { Settings } from '../settings.ts';
import { findFarDatabase, identityOf, lookAt, settleMs } from './far-files.ts';
import { chooseWay, type Way } from './way.ts';

/** Throws what keeps a backup from beginning. */
export async function probeFar(source: SourceContext<Settings>): Promise<Finding[]> {
  const { host, settings, signal } = source;
  const place = await findFarDatabase(host, settings.path);
  const way = await chooseWay(host, settings, signal);
  const wal = place.header?.journal === 'wal';
  return [
    { level: 'ok', message: `${place.path} on ${host.name} is a SQLite database of ${formatBytes(place.sizeBytes)}` },
    wayFinding(way, wal, host),
    ...(wal ? [] : [rollbackFinding()]),
    ...(way.by === 'none' ? await timesFindings(host, place) : []),
    ...(way.by === 'python3' && wal ? [] : [await roomFinding(source, place)]),
  ];
}

function wayFinding(way: Way, wal: boolean, host: Host): Finding {
  if (way.by === 'none') {
    return {
      level: 'warning',
      message: `no program will hold the database on ${host.name} (neither python3 nor sqlite3 is there, or «hold: none» is set): it is copied without a lock, and tried again while the copy cannot be proven to be one state`,
      remedy: 'Install python3 or sqlite3 there if programs write to it all the time.',
    };
  }
  const who = `${way.by} on ${host.name} (SQLite ${way.version})`;
  if (!wal) return { level: 'ok', message: `${who} holds a shared lock for the last comparison of the copy` };
  const how = way.by === 'python3' ? 'and reads the rows for the fingerprint' : 'and the copy proves itself';
  return { level: 'ok', message: `${who} holds a read transaction ${how}: writers do not wait` };
}

function rollbackFinding(): Finding {
  return {
    level: 'warning',
    message:
      'rollback-journal mode: what is written to it all the time cannot be copied over a connection in the time that writers may be made to wait',
    remedy:
      'Run PRAGMA journal_mode=WAL once (it is kept in the file), unless the database lies on a network file system.',
  };
}

async function timesFindings(host: Host, place: Place): Promise<Finding[]> {
  const found = await lookAt(host, place.realPath);
  if (!found || settleMs(identityOf(found)) < 1000) return [];
  return [
    {
      level: 'ok',
      message: `${host.name} gives times in whole seconds: proving that nobody wrote takes some seconds longer`,
    },
  ];
}

async function roomFinding({ settings }: SourceContext<Settings>, place: Place): Promise<Finding> {
  const directory = settings.spoolDirectory ?? tmpdir();
  const free = await freeBytes(directory);
  const message = `${directory} on this machine has ${formatBytes(free)} free for the copy of ${formatBytes(place.sizeBytes)}`;
  if (free > place.sizeBytes) return { level: 'ok', message };
  return { level: 'error', message, remedy: 'Set spoolDirectory to a directory with more room.' };
}
