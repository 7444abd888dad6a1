/** Private directories for copies of databases, in the directory the settings name; those of a Holdfast that was killed go with the next one made. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import { freeBytes } from './place.ts';
import { isRoomOwned, ownRoom } from './room-owner.ts';
import type { Settings } from './settings.ts';

/** A private directory for a copy. */
export interface SpoolRoom {
  readonly directory: string;
  readonly copyPath: string;
  remove(): Promise<void>;
  /** Removes it, and gives what to throw: a full disk is `storage.full`, everything else is what it was. */
  giveUp(error: unknown): Promise<unknown>;
}

/** `storage.full` unless there is room for `neededBytes`. */
export async function makeSpoolRoom(
  source: SourceContext<Settings>,
  name: string,
  neededBytes: number,
): Promise<SpoolRoom> {
  const parent = source.settings.spoolDirectory ?? tmpdir();
  const directory = await mkdtemp(join(parent, roomName));
  const owned = new AbortController();
  const remove = async (): Promise<void> => {
    owned.abort();
    await rm(directory, { recursive: true, force: true });
  };
  const giveUp = async (error: unknown): Promise<unknown> => {
    await remove();
    const isFull = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
    return isFull ? noRoom(parent, await freeBytes(parent), name, neededBytes, error) : error;
  };
  try {
    await ownRoom(directory, source.clock, owned.signal);
    await removeOrphans(parent, (await stat(directory)).mtimeMs);
    const free = await freeBytes(parent);
    if (free <= neededBytes) throw noRoom(parent, free, name, neededBytes);
    return { directory, copyPath: join(directory, 'copy.db'), remove, giveUp };
  } catch (error) {
    throw await giveUp(error);
  }
}

const roomName = 'holdfast-sqlite-room-';

/** What processes that are no more left: they were killed, or the machine went down. */
async function removeOrphans(parent: string, nowMs: number): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(roomName)) continue;
    const room = join(parent, name);
    // One of another user stays; that user's next backup removes it. Another process may remove it at the same time.
    if (!(await isRoomOwned(room, nowMs).catch(() => true)))
      await rm(room, { recursive: true, force: true }).catch(() => {});
  }
}

function noRoom(directory: string, free: number, name: string, needed: number, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'storage.full',
    message: `${directory} has ${formatBytes(free)} free, the copy of ${name} needs ${formatBytes(needed)}`,
    remedy:
      'Set spoolDirectory to a directory with more room. A database in WAL mode needs no copy if it is on this machine (copyFirst off), or on a host with python3.',
    cause,
  });
}
