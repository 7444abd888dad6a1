/** How a database of another host is held while it is copied: by a program that is there, or not at all. */
import { HoldfastError } from '../../../base/errors.ts';
import type { Host } from '../../../hosts/host.ts';
import type { Settings } from '../settings.ts';
import { printed } from './far-command.ts';
import { shellOptions } from './shell-holder.ts';

export type Way = { readonly by: 'python3' | 'sqlite3'; readonly version: string } | { readonly by: 'none' };

const pythonTest =
  'import sys, sqlite3; assert sys.version_info >= (3, 6) and sqlite3.sqlite_version_info >= (3, 26); print(sqlite3.sqlite_version)';
/** Each prints the version of SQLite, and fails if it is too old for what is wanted of it: a shell that does not know its options. */
const tests = {
  python3: ['python3', '-I', '-c', pythonTest],
  sqlite3: ['sqlite3', ...shellOptions, '-readonly', ':memory:', 'SELECT sqlite_version()'],
} as const;

const wanted = {
  python3: 'python3 (3.6 or newer) with a sqlite3 module (of SQLite 3.26 or newer)',
  sqlite3: 'sqlite3 shell that knows -readonly',
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
    const version = (await printed(host, tests[by], signal))?.trim();
    if (version) return { by, version };
  }
  if (hold === 'auto') return { by: 'none' };
  throw new HoldfastError({
    code: 'host.command-missing',
    message: `there is no ${wanted[hold]} on host ${host.name}, which «hold: ${hold}» asks for`,
    remedy: `Install ${hold} there, or leave «hold» out: another way is then taken.`,
  });
}

/** For people and for the snapshot's facts. */
export function describeWay(way: Way, host: Host): string {
  if (way.by === 'none') return `no SQLite on ${host.name}: read without a lock`;
  return `SQLite ${way.version} of ${way.by} on ${host.name}`;
}
