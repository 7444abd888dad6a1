/**
 * Which state directory a row of the catalogue belongs to. The name of a machine does not say: a container that is made anew
 * has another one, and the same directory.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';

const form = /^[0-9a-f]{32}$/;

/** Beside the directory of records, which exists. `undefined` if nobody has made it yet. */
export async function placeOf(directory: string): Promise<string | undefined> {
  const text = await readFile(pathOf(directory), 'utf8').catch((error: unknown) => {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(systemCode(error) ?? '')) return '';
    throw error;
  });
  return form.test(text) ? text : undefined;
}

/** Makes it if need be; always the same. `storage.io`. */
export async function keptPlaceOf(directory: string): Promise<string> {
  const path = pathOf(directory);
  const found = await placeOf(directory);
  if (found !== undefined) return found;
  const own = randomBytes(16).toString('hex');
  const temporary = `${path}.${own}`;
  try {
    await writeFile(temporary, own, { mode: 0o600, flush: true });
    // Whole or not at all, and of two processes that come at once one is first; one that is no id counts for nothing.
    await link(temporary, path).catch(() => undefined);
    if ((await placeOf(directory)) === undefined) await rename(temporary, path);
    return (await placeOf(directory)) ?? own;
  } catch (cause) {
    throw new HoldfastError({
      code: 'storage.io',
      message: `${path} cannot be written: ${messageOf(cause)}`,
      remedy: 'Make it writable for this user, or set HOLDFAST_STATE to another directory. Nothing was stopped.',
      cause,
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

function pathOf(directory: string): string {
  return `${directory}.id`;
}
