/**
 * Paths of any length. The kernel takes 4096 bytes at most; a longer path is walked in pieces, each directory opened and
 * named again as `/proc/self/fd/<n>`, which is short.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { encodeName, systemPath } from '../../base/names.ts';
import type { SystemPath } from './syscalls.ts';

/** Linux's PATH_MAX with room for `/proc/self/fd/<n>/` in front. */
const longest = 4000;
export const openPathOnly = 0o10000000; // O_PATH: the object itself, needs no right to read

/** Calls `use` with something the system takes for `path`, valid only during the call. */
export function withSystemPath<T>(path: string, use: (path: SystemPath) => T): T {
  // UTF-8 takes up to three bytes for each unit of a string
  if (path.length * 3 < longest || encodeName(path).length < longest) return use(systemPath(path));
  let directory: number | undefined;
  try {
    let rest = path;
    while (encodeName(rest).length >= longest) {
      const head = headOf(rest);
      const at = directory === undefined ? head : `/proc/self/fd/${directory}/${head}`;
      const opened = openSync(systemPath(at), openPathOnly | constants.O_DIRECTORY);
      if (directory !== undefined) closeSync(directory);
      directory = opened;
      rest = rest.slice(head.length).replace(/^\/+/, '');
    }
    return use(systemPath(`/proc/self/fd/${directory}/${rest}`));
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

/** A leading part of whole components of at most `longest` bytes. */
function headOf(path: string): string {
  const limit = Math.floor(longest / 3);
  const end = path.lastIndexOf('/', limit);
  return end > 0 ? path.slice(0, end) : path.slice(0, path.indexOf('/', limit));
}
