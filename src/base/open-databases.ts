/**
 * The databases this process itself has open through SQLite. POSIX locks belong to a process, and closing any descriptor of a
 * file drops all that the process has on it (sqlite.org/howtocorrupt.html §2.2). SQLite would go on as if it had them, the
 * next other program would take itself for the last one, remove the log, and what is committed from then on would be lost.
 * So nothing else here opens such a database, nor its `-wal` and `-shm`: whoever opens files that others name comes here.
 * Known to the main thread alone; no other thread opens files that others name.
 */
import { type BigIntStats, closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

/** What names an object on this machine, whatever its path. */
export type FileIdentity = Pick<BigIntStats, 'dev' | 'ino'>;

interface OpenDatabase {
  readonly path: string;
  readonly files: readonly string[];
}

const databases = new Set<OpenDatabase>();
/** O_PATH: names the object and reads nothing; closing such a descriptor drops no lock. */
const pathOnly = 0o10000000;

/**
 * To be called in the same turn in which SQLite has opened `path` and read from it, so that its files are there.
 * Disposed when SQLite has closed it.
 */
export function holdsDatabase(path: string): Disposable {
  const files = ['', '-wal', '-shm', '-journal'].flatMap((suffix) => {
    const found = statSync(`${path}${suffix}`, { bigint: true, throwIfNoEntry: false });
    return found ? [keyOf(found)] : [];
  });
  const database = { path, files };
  databases.add(database);
  return { [Symbol.dispose]: () => void databases.delete(database) };
}

/** The database that the file is, or belongs to; `undefined` if this process has it not open. */
export function openDatabaseOf(file: FileIdentity): string | undefined {
  if (databases.size === 0) return undefined;
  const key = keyOf(file);
  for (const { path, files } of databases) if (files.includes(key)) return path;
  return undefined;
}

/** The same of a path, whose symbolic links are followed. */
export function openDatabaseAt(path: string | Buffer): string | undefined {
  if (databases.size === 0) return undefined;
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && openDatabaseOf(found);
}

/**
 * Opens a file that is there, unless it belongs to such a database: then throws what `refuse` makes of that one's path. What
 * is looked at is what is opened, whatever becomes of the name meanwhile. `flags` without O_CREAT.
 */
export function openNoDatabase(path: string | Buffer, flags: number, refuse: (database: string) => Error): number {
  if (databases.size === 0) return openSync(path, flags);
  const object = openSync(path, pathOnly | (flags & constants.O_NOFOLLOW));
  try {
    const database = openDatabaseOf(fstatSync(object, { bigint: true }));
    if (database !== undefined) throw refuse(database);
    // The name is a link of the kernel's, and leads to the object alone; an object that is a symbolic link is ELOOP as before.
    return openSync(`/proc/self/fd/${object}`, flags & ~constants.O_NOFOLLOW);
  } finally {
    closeSync(object);
  }
}

function keyOf({ dev, ino }: FileIdentity): string {
  return `${dev}:${ino}`;
}
