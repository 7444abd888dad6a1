/** Paths of a container as this machine sees them. */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import type { Container } from './container.ts';

/**
 * True if process `id` is the container's, as this machine sees it, and we are root. A process of that number that is not:
 * the engine runs on another machine, whatever its socket looks like.
 */
export function isSeenHere({ api, id: container }: Container, id: number): boolean {
  if (!api.isLocal || process.getuid?.() !== 0 || !id) return false;
  try {
    return readFileSync(`/proc/${id}/cgroup`, 'utf8').includes(container);
  } catch {
    return false;
  }
}

/** As many as the kernel follows. */
const mostLinks = 40;

/**
 * Where `path` of a container lies below `root`, with every symbolic link taken as the container takes it: an absolute one
 * starts at `root`, and `..` never leaves it. (The kernel would take them from this machine's root.) Throws if it is missing.
 */
export function resolveInside(root: string, path: string): string {
  const todo = path.split('/').toReversed();
  const done: string[] = [];
  for (let links = 0; todo.length > 0; ) {
    const name = todo.pop()!;
    if (name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      continue;
    }
    const at = [root, ...done, name].join('/');
    if (!lstatSync(at).isSymbolicLink()) {
      done.push(name);
      continue;
    }
    if (++links > mostLinks) throw new Error(`${path}: too many symbolic links`);
    const target = readlinkSync(at);
    if (target.startsWith('/')) done.length = 0;
    todo.push(...target.split('/').toReversed());
  }
  return [root, ...done].join('/');
}
