/** Private directories for copies of databases, in the directory the settings name; those of a Holdfast that was killed go with the next one made. */
import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import { freeBytes } from './place.ts';
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
  await removeOrphans(parent);
  const free = await freeBytes(parent);
  if (free <= neededBytes) throw noRoom(parent, free, name, neededBytes);
  const directory = await mkdtemp(join(parent, `${ownPrefix()}${process.pid}-`));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  return {
    directory,
    copyPath: join(directory, 'copy.db'),
    remove,
    async giveUp(error) {
      await remove();
      const isFull = ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
      return isFull ? noRoom(parent, await freeBytes(parent), name, neededBytes, error) : error;
    },
  };
}

/** Process ids mean something only on one machine, in one namespace: another's rooms are not ours to judge. */
function ownPrefix(): string {
  const space = `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  return `holdfast-sqlite-${createHash('sha256').update(space).digest('hex').slice(0, 8)}-`;
}

/** What processes that are no more left: they were killed, or the machine went down. */
async function removeOrphans(parent: string): Promise<void> {
  const prefix = ownPrefix();
  for (const name of await readdir(parent)) {
    const owner = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : 0;
    if (!(owner > 0) || isAlive(owner)) continue;
    // One of another user stays; that user's next backup removes it.
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
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
