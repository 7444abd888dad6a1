/** How a directory is written as a repository's URL. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError, messageOf } from '../../base/errors.ts';

export function isLocalUrl(url: string): boolean {
  return /^(\/|\.\.?(\/|$)|file:|local:)/.test(url);
}

/** The absolute path a URL means; relative ones are taken from the working directory. `usage.invalid` if it is no path. */
export function pathOf(url: string): string {
  const path = url.startsWith('file:') ? fromFileUrl(url) : url.replace(/^local:/, '');
  if (path === '' || path.includes('\0')) throw invalid(url, 'it names no directory');
  return resolve(path);
}

function fromFileUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw invalid(url, messageOf(error));
  }
}

function invalid(url: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `${JSON.stringify(url)} is not a directory's URL: ${why}`,
    remedy: 'Write the absolute path, e.g. /srv/backup, or file:///srv/backup with three slashes.',
  });
}
