/** How a database of another host is held while it is copied: by a program that is there, or not at all. */
import { HoldfastError } from '../../../base/errors.ts';
import type { Host } from '../../../hosts/host.ts';
import type { Settings } from '../settings.ts';
import { printed } from './far-command.ts';

export type Way = { readonly by: 'python3' | 'sqlite3'; readonly version: string } | { readonly by: 'none' };

const pythonTest = 'import sys, sqlite3; assert sys.version_info >= (3, 6); print(sqlite3.sqlite_version)';
const versions = {
  python3: ['python3', '-I', '-c', pythonTest],
  sqlite3: ['sqlite3', '-version'],
} as const;

/** `host.command-missing` if the settings ask for a program that is not there. */
export async function chooseWay(
  host: Host,
  { hold, path }: Pick<Settings, 'hold' | 'path'>,
  signal?: AbortSignal,
): Promise<Way> {
  if (hold === 'none') return { by: 'none' };
  // the shell takes its file as an argument, which is text; a name of other bytes would be another file
  const usable = (['python3', 'sqlite3'] as const).filter((by) => by === 'python3' || path.isWellFormed());
  for (const by of usable.filter((each) => hold === 'auto' || hold === each)) {
    const version = (await printed(host, versions[by], signal))?.trim().split(/\s/)[0];
    if (version) return { by, version };
  }
  if (hold === 'auto') return { by: 'none' };
  throw new HoldfastError({
    code: 'host.command-missing',
    message: `there is no ${hold === 'python3' ? 'python3 (3.6 or newer) with its sqlite3 module' : 'sqlite3'} on host ${host.name}, which «hold: ${hold}» asks for`,
    remedy: `Install ${hold} there, or leave «hold» out: another way is then taken.`,
  });
}

/** For people and for the snapshot's facts. */
export function describeWay(way: Way, host: Host): string {
  if (way.by === 'none') return `no SQLite on ${host.name}: read without a lock`;
  return `SQLite ${way.version} of ${way.by} on ${host.name}`;
}
