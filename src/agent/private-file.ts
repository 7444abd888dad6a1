/** Files that only this user reads, and that are whole or not there at all. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { HoldfastError, messageOf, systemCode } from '../base/errors.ts';
import { syncFolder } from '../base/whole-file.ts';

/** Replaces it in one step; 0600 in a folder of 0700. */
export async function writePrivate(path: string, value: unknown): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    {
      await using file = await open(draft, 'wx', 0o600);
      await file.writeFile(JSON.stringify(value));
      await file.sync();
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined); // the folder may not even be there
    throw new HoldfastError({
      code: 'storage.io',
      message: `${path} cannot be written: ${messageOf(cause)}`,
      remedy: 'Check that this user may write there (HOLDFAST_STATE names the folder) and that there is space.',
      cause,
    });
  }
}

/** `undefined` if there is none. `storage.io` if it cannot be read, or does not hold what it should. */
export async function readPrivate<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new HoldfastError({
      code: 'storage.io',
      message: `${path} cannot be used: ${systemCode(cause) === undefined ? 'it is damaged' : messageOf(cause)}`,
      remedy: 'Check that this user may read it; if it is damaged, remove it.',
      cause,
    });
  }
}
