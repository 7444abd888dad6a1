/** Looks for what is worth backing up on this machine. Bounded: depth, number of entries, and time; what cannot be read is passed over. */
import { open, opendir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { compareNames, systemPath } from '../../base/names.ts';
import { openDatabaseAt } from '../../base/open-databases.ts';

export interface FoundDatabase {
  readonly path: string;
  readonly sizeBytes: number;
}

/** A server's data directory; how it is reached has to be filled in by a person. */
export interface FoundServer {
  readonly kind: 'PostgreSQL' | 'MySQL or MariaDB' | 'MongoDB' | 'Redis';
  readonly path: string;
}

export interface Findings {
  /** SQLite databases by their header, largest first. */
  readonly databases: readonly FoundDatabase[];
  readonly composeFiles: readonly string[];
  readonly servers: readonly FoundServer[];
  /** True if a bound was reached before everything was seen. */
  readonly incomplete: boolean;
}

export interface Search {
  readonly roots: readonly string[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Default: 15 s. */
  readonly longestMs?: number;
  /** How many databases are named at most, the largest. Default: 40. */
  readonly mostDatabases?: number;
}

/** Where people keep data, on machines of most kinds. */
export const usualRoots = ['/srv', '/opt', '/var/lib', '/var/www', '/data', '/home', '/root'];

const deepest = 7;
const mostEntries = 300_000;
const usualLongestMs = 15_000;
const usualMost = 40;
const databaseName = /\.(?:db|db3|sqlite|sqlite3|s3db)$/i;
const composeName = /^(?:docker-)?compose(?:\.[\w-]+)?\.ya?ml$/;
/** Never worth the time: caches, code, other programs' stores. Hidden directories are passed over as well. */
const skippedNames = new Set([
  'node_modules',
  'overlay2',
  'containerd',
  'snap',
  'flatpak',
  'proc',
  'sys',
  'dev',
  'cache',
  'Cache',
  'lost+found',
]);
const magic = Buffer.from('SQLite format 3\0', 'latin1');

export async function lookAround(search: Search): Promise<Findings> {
  const walk = new BoundedWalk(search);
  for (const root of search.roots) await walk.enter(root, 0);
  const { mostDatabases = usualMost } = search;
  const databases = walk.databases.toSorted((a, b) => b.sizeBytes - a.sizeBytes);
  return {
    databases: databases.slice(0, mostDatabases),
    composeFiles: walk.composeFiles.toSorted(compareNames),
    servers: await findServers(),
    incomplete: walk.stopped || databases.length > mostDatabases,
  };
}

class BoundedWalk {
  readonly databases: FoundDatabase[] = [];
  readonly composeFiles: string[] = [];
  stopped = false;
  #entries = 0;
  readonly #search: Search;
  readonly #endMs: number;

  constructor(search: Search) {
    this.#search = search;
    this.#endMs = search.clock.monotonicMs() + (search.longestMs ?? usualLongestMs);
  }

  async enter(directory: string, depth: number): Promise<void> {
    const below: string[] = [];
    try {
      for await (const entry of await opendir(directory)) {
        this.#search.signal.throwIfAborted();
        if (++this.#entries > mostEntries || this.#search.clock.monotonicMs() > this.#endMs) this.stopped = true;
        if (this.stopped) return;
        const path = join(directory, entry.name);
        if (entry.isFile()) await this.#consider(path);
        else if (entry.isDirectory() && !entry.name.startsWith('.') && !skippedNames.has(entry.name)) below.push(path);
      }
    } catch {
      this.#search.signal.throwIfAborted(); // else unreadable: a search takes what it can see
    }
    if (depth < deepest) for (const path of below) await this.enter(path, depth + 1);
  }

  async #consider(path: string): Promise<void> {
    const name = basename(path);
    if (composeName.test(name)) this.composeFiles.push(path);
    if (!databaseName.test(name)) return;
    const sizeBytes = await databaseSize(path);
    if (sizeBytes !== undefined) this.databases.push({ path, sizeBytes });
  }
}

/** Bytes of a file that begins like a SQLite database. */
async function databaseSize(path: string): Promise<number | undefined> {
  try {
    // One that this server works with loses its locks when it is opened and closed here.
    if (openDatabaseAt(systemPath(path)) !== undefined) return (await stat(systemPath(path))).size;
    await using file = await open(path, 'r');
    const head = Buffer.alloc(magic.length);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return bytesRead === head.length && head.equals(magic) ? (await file.stat()).size : undefined;
  } catch {
    return undefined;
  }
}

async function findServers(): Promise<Findings['servers']> {
  const servers: FoundServer[] = [];
  for (const version of await namesIn('/var/lib/postgresql')) {
    for (const cluster of await namesIn(join('/var/lib/postgresql', version))) {
      servers.push({ kind: 'PostgreSQL', path: join('/var/lib/postgresql', version, cluster) });
    }
  }
  for (const [kind, path] of [
    ['MySQL or MariaDB', '/var/lib/mysql'],
    ['MongoDB', '/var/lib/mongodb'],
    ['Redis', '/var/lib/redis'],
  ] as const) {
    if (await isDirectory(path)) servers.push({ kind, path });
  }
  return servers;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
