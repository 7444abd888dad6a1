/**
 * The newest restic that Debian has, beside the installed one: unpacked once into a cache, and on the PATH as `restic-new`.
 * vitest calls `setup` before the tests of each project, and benchmarks do at their start.
 */
import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemCode } from '../../src/base/errors.ts';

const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests', 'restic-sid');
const script = fileURLToPath(new URL('suite-packages.sh', import.meta.url));

/** Five seconds and 60 MB the first time. Where it cannot be had: an error if CI is set, else said. */
export async function setup(): Promise<void> {
  try {
    await promisify(execFile)(script, [folder, 'sid', '/usr/bin/restic', 'restic']);
    process.env.PATH = [await onlyItsName(), process.env.PATH].join(delimiter);
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`no newer restic can be had here: ${String(error)}`);
  }
}

/** A directory for the PATH in which nothing is called as the installed one. */
async function onlyItsName(): Promise<string> {
  const directory = join(folder, 'path');
  await mkdir(directory, { recursive: true });
  await symlink(join(folder, 'bin', 'restic'), join(directory, 'restic-new')).catch((error: unknown) => {
    if (systemCode(error) !== 'EEXIST') throw error;
  });
  return directory;
}
