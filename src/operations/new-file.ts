/** Files that must not get lost: written only where nothing is, or with what was there kept aside. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatInstant } from '../base/clock.ts';
import { HoldfastError, messageOf, systemCode } from '../base/errors.ts';
import { createWhole, syncFolder } from '../base/whole-file.ts';

/** Writes a new file, whole and flushed or not at all. `usage.invalid` if there is one, with its `EEXIST` as cause, or if it cannot be written. */
export async function writeNew(file: string, text: string, mode: number): Promise<void> {
  try {
    await createWhole(file, mode, async (handle) => await handle.writeFile(text));
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') throw existsAlready(file, cause);
    throw unwritable(file, cause);
  }
}

/** The same for a secret: 0600, in a directory that is made for it alone if there is none. False if the file exists. */
export async function writeNewSecret(file: string, secret: string): Promise<boolean> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeNew(file, `${secret}\n`, 0o600);
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && systemCode(error.cause) === 'EEXIST') return false;
    throw error instanceof HoldfastError ? error : unwritable(file, error);
  }
}

/**
 * Writes `text` to `file` in one step; what was there is kept under a name of its own, which is returned. A file that holds
 * just this is left as it is.
 */
export async function writeKeepingAside(file: string, text: string, nowMs: number): Promise<string | undefined> {
  const present = await readIfThere(file);
  if (present === text) return undefined;
  const temporary = `${file}.new-${randomBytes(4).toString('hex')}`;
  await writeNew(temporary, text, 0o644);
  try {
    const aside =
      present === undefined ? undefined : `${file}.before-${formatInstant(nowMs).replace(/[-:]|\.\d+/g, '')}`;
    if (aside !== undefined) await link(file, aside);
    await rename(temporary, file);
    await syncFolder(dirname(file));
    return aside;
  } catch (cause) {
    await rm(temporary, { force: true });
    throw unwritable(file, cause);
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw unwritable(file, cause);
  }
}

export function existsAlready(file: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `${file} exists already and is not overwritten`,
    remedy: 'Check it with: holdfast validate. Or write another one: holdfast --config OTHER init',
    cause,
  });
}

function unwritable(file: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `${file} cannot be written: ${messageOf(cause)}`,
    remedy: 'Choose another place with --config FILE or --password-file FILE.',
    cause,
  });
}
