/** Files that are whole or not there at all: whatever ends this program or the machine, nothing half written has their name. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemCode } from './errors.ts';

/**
 * Makes `file`, which must not exist (else `EEXIST`; nothing is ever overwritten, also if it appears meanwhile), of what
 * `write` writes. Until that is on the disk it has another name in the same folder, `.holdfast-….part`, with the same mode;
 * if `write` or anything else rejects, that is removed. Errors are the system's, or what `write` rejects with.
 */
export async function createWhole<Result>(
  file: string,
  mode: number,
  write: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  if (await isThere(file)) throw Object.assign(new Error(`${file} exists already`), { code: 'EEXIST' });
  // A name of its own: that of the file may be as long as a name can be.
  const draft = join(dirname(file), `.holdfast-${randomBytes(6).toString('hex')}.part`);
  try {
    const result = await writeFlushed(draft, mode, write);
    await publish(draft, file, mode);
    await syncFolder(dirname(file));
    return result;
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined); // what went wrong first is what is told
    throw error;
  }
}

async function writeFlushed<Result>(
  draft: string,
  mode: number,
  write: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  await using handle = await open(draft, 'wx', mode);
  const result = await write(handle);
  await handle.sync();
  return result;
}

/** A second name, and then the first is given up: unlike renaming, that fails where something is. */
async function publish(draft: string, file: string, mode: number): Promise<void> {
  try {
    await link(draft, file);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    return await claimAndRename(draft, file, mode);
  }
  await rm(draft);
}

/** For file systems without hard links (FAT, some network shares): for a moment an empty file holds the name. */
async function claimAndRename(draft: string, file: string, mode: number): Promise<void> {
  await (await open(file, 'wx', mode)).close();
  try {
    await rename(draft, file);
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
    throw error;
  }
}

/** What was given a name in it, or lost it, stays so after a crash; as far as the file system knows how, and lets us. */
export async function syncFolder(path: string): Promise<void> {
  try {
    await using folder = await open(path, 'r');
    await folder.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EACCES', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
  }
}
