/** Whose a private directory is, and whether that process still lives: in other containers and on other machines, too. */
import { readFileSync, readlinkSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';

const ownerFile = 'owner.json';
const sayEveryMs = 10 * 60_000;
/** Nobody has said for so long that the room is in use: its owner was killed, or its machine stands still. */
const silentMs = 6 * 3_600_000;
/** The same of a room without an owner's file, which nobody says anything of. */
const unknownMs = 3 * 24 * 3_600_000;

interface Owner {
  /** Where a process number means one process: a boot of a machine, and a container. */
  readonly space: string;
  readonly pid: number;
  /** When it started, in ticks since boot (proc_pid_stat(5)): the number may be another process's by now. */
  readonly start: string;
}

/** Writes down whose the room is, and says so again and again until `stop`. */
export async function ownRoom(directory: string, clock: Clock, stop: AbortSignal): Promise<void> {
  await sayOwned(directory);
  void keepSaying(directory, clock, stop);
}

/**
 * False if the owner is known to be gone, or nothing was heard of it for too long. `nowMs` is the time by the clock of the
 * file system (the mtime of something just made there): other machines may write to it.
 */
export async function isRoomOwned(directory: string, nowMs: number): Promise<boolean> {
  const path = join(directory, ownerFile);
  const said = await stat(path).catch(() => undefined);
  if (said === undefined) return (await stat(directory)).mtimeMs > nowMs - unknownMs;
  const owner = parseOwner(await readFile(path, 'utf8'));
  if (owner !== undefined && owner.space === processSpace()) return startOf(owner.pid) === owner.start;
  return said.mtimeMs > nowMs - silentMs;
}

/** The content is always the same; writing it sets the time by the file system's own clock. */
async function sayOwned(directory: string): Promise<void> {
  const owner: Owner = { space: processSpace(), pid: process.pid, start: startOf(process.pid) };
  await writeFile(join(directory, ownerFile), JSON.stringify(owner), { mode: 0o600 });
}

async function keepSaying(directory: string, clock: Clock, stop: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(sayEveryMs, { signal: stop, background: true });
      // What fails now may not the next time; a disk that is full or away is told of by who writes the copy.
      await sayOwned(directory).catch(() => {});
    }
  } catch (error) {
    if (!hasCode(error, 'cancelled')) throw error;
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return undefined; // just being written, or cut by a full disk: its time tells
  }
}

function processSpace(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return `${boot} ${readlinkSync('/proc/self/ns/pid')} ${hostname()}`;
}

/** Empty if it does not run. */
function startOf(id: number): string {
  try {
    const line = readFileSync(`/proc/${id}/stat`, 'latin1');
    // The name in parentheses may hold anything; the state is the first after it, the start the twentieth.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return /^[ZX]/.test(fields[0]) ? '' : fields[19];
  } catch {
    return '';
  }
}
