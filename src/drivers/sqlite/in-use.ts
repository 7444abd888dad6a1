/** Whether a program has a database open: by SQLite's own locks, and by the open files of every process that can be seen. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import { openDatabaseAt } from '../../base/open-databases.ts';
import type { Host } from '../../hosts/host.ts';
import { SqliteRefusal, startHolder } from './holder-client.ts';

/**
 * Who uses it, in words; empty if nobody does. The lock test finds every WAL user, in other containers too. The open files
 * find idle users in rollback mode, who hold no lock, as far as this user may look at other processes.
 */
export async function findUsers(host: Host, path: string, signal?: AbortSignal): Promise<string[]> {
  if (openDatabaseAt(systemPath(path)) !== undefined) return ['Holdfast itself'];
  const processes = await processesWith(path);
  if (processes.length > 0) return processes;
  return (await isLocked(host, path, signal)) ? ['a program that holds SQLite locks on it'] : [];
}

async function isLocked(host: Host, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  await using asker = await startHolder(host, signal);
  try {
    return (await asker.ask({ ask: 'in-use', path })).inUse;
  } catch (error) {
    // What SQLite cannot open (damaged, no database) nobody uses through SQLite.
    if (error instanceof SqliteRefusal) return false;
    throw error;
  }
}

async function processesWith(path: string): Promise<string[]> {
  const file = await stat(systemPath(path), { bigint: true });
  const found: string[] = [];
  const ids = (await entriesOf('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  for (const id of ids) {
    for (const descriptor of await entriesOf(`/proc/${id}/fd`)) {
      const theirs = await stat(`/proc/${id}/fd/${descriptor}`, { bigint: true }).catch(() => undefined);
      if (theirs?.ino !== file.ino || theirs.dev !== file.dev) continue;
      found.push(`${await nameOf(id)} (process ${id})`);
      break;
    }
  }
  return found;
}

/** Nothing for processes that ended or belong to others. */
async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EPERM', 'ESRCH'].includes(systemCode(error) ?? '')) return [];
    throw new HoldfastError({
      code: 'internal',
      message: `the processes of this machine cannot be listed: ${systemCode(error)}`,
      remedy: 'Restore to another path.',
      cause: error,
    });
  }
}

async function nameOf(id: string): Promise<string> {
  return (await readFile(`/proc/${id}/comm`, 'utf8').catch(() => 'a program')).trim();
}
