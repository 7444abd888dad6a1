/** Paths as people write them in a configuration. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';

/** `~` and `~/…` are the home of whoever runs the program; what is relative is relative to `folder`. */
export function expandPath(path: string, folder: string): string {
  if (path === '~' || path.startsWith('~/')) return resolve(homedir(), `.${path.slice(1)}`);
  return resolve(folder, path);
}
