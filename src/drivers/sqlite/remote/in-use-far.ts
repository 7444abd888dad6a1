/** Whether a program of another host has a database open, as far as can be seen from there. */
import type { Host } from '../../../hosts/host.ts';
import { SqliteRefusal } from '../holder-client.ts';
import { printed } from './far-command.ts';
import { isLockedThere } from './python-holder.ts';
import { chooseWay } from './way.ts';

/** A process a line: its id and name. */
const openFilesScript = `for process in /proc/[0-9]*; do
  for file in "$process"/fd/*; do
    if [ "$file" -ef "$1" ]; then echo "$(cat "$process/comm" 2>/dev/null) (process \${process#/proc/})"; break; fi
  done
done
[ -d /proc/self/fd ]`;

/** Who uses it, in words; empty if nobody does as far as can be seen; `undefined` if nothing can be seen. */
export async function findFarUsers(host: Host, path: string, signal?: AbortSignal): Promise<string[] | undefined> {
  const seen = await printed(host, ['sh', '-c', openFilesScript, 'sh', path], signal);
  const users = seen?.split('\n').filter((line) => line !== '') ?? [];
  if (users.length > 0) return users;
  const way = await chooseWay(host, { hold: 'auto', path }, signal);
  if (way.by !== 'python3') return seen === undefined ? undefined : [];
  return (await isLocked(host, path, signal)) ? ['a program that holds SQLite locks on it'] : [];
}

async function isLocked(host: Host, path: string, signal?: AbortSignal): Promise<boolean> {
  try {
    return await isLockedThere(host, path, signal);
  } catch (error) {
    // what SQLite cannot open (damaged, no database) nobody uses through SQLite
    if (error instanceof SqliteRefusal) return false;
    throw error;
  }
}
