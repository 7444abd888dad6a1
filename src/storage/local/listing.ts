/** Walks a folder of the repository. */
import { opendir, stat } from 'node:fs/promises';
import { throwIfCancelled } from '../../base/errors.ts';
import { isObjectName } from '../object-name.ts';
import type { StoredObject } from '../storage.ts';
import { isAbsent } from './io-errors.ts';
import type { Look, ManyFiles } from './many-files.ts';
import type { Root } from './root.ts';

/** Files looked at together: enough to keep the thread pool busy, little enough to hold. */
const batchSize = 128;
/** Files looked at one by one in a listing; from then on a thread of its own is worth being started. */
const fewFiles = 512;

interface Options {
  readonly many: ManyFiles;
  readonly signal?: AbortSignal;
}

/**
 * Every file below `folder`, in no order, one directory open at a time. Memory: one batch and the folder names not yet
 * visited. What vanishes meanwhile is left out, unless the whole repository vanished: that is `storage.not-found`.
 * Temporary files, and whatever else has a name no object can have, are not shown. Symbolic links are followed.
 */
export async function* listObjects(
  root: Root,
  folder: string,
  { many, signal }: Options,
): AsyncGenerator<StoredObject> {
  const folders = [folder];
  let vanished = false;
  let looked = 0;
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    for await (const names of batches(root, current)) {
      throwIfCancelled(signal);
      const looks = await lookAt(root, names, looked < fewFiles ? undefined : many);
      looked += names.length;
      vanished ||= looks.includes('gone');
      folders.push(...names.filter((_, i) => looks[i] === 'folder'));
      yield* names.flatMap((name, i) => objectOf(name, looks[i]));
    }
  }
  if (vanished) await root.assertPresent();
}

async function* batches(root: Root, folder: string): AsyncGenerator<string[]> {
  let names: string[] = [];
  try {
    for await (const entry of await opendir(root.resolve(folder), { bufferSize: batchSize })) {
      const name = `${folder}/${entry.name}`;
      if (!isObjectName(name)) continue;
      if (names.push(name) < batchSize) continue;
      yield names;
      names = [];
    }
  } catch (error) {
    if (!isAbsent(error)) throw error;
    await root.assertPresent();
  }
  yield names;
}

async function lookAt(root: Root, names: readonly string[], many?: ManyFiles): Promise<Look[]> {
  const paths = names.map((name) => root.resolve(name));
  const seen = (await many?.look(paths)) ?? [];
  return await Promise.all(paths.map((path, i) => seen[i] ?? look(path)));
}

function objectOf(name: string, look: Look): StoredObject[] {
  return typeof look === 'number' ? [{ name, sizeBytes: look }] : [];
}

async function look(path: string): Promise<Look> {
  try {
    const entry = await stat(path);
    if (entry.isDirectory()) return 'folder';
    return entry.isFile() ? entry.size : 'other';
  } catch (error) {
    if (isAbsent(error)) return 'gone';
    throw error;
  }
}
