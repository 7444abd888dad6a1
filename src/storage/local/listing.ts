/** Walks a folder of the repository. */
import { opendir, stat } from 'node:fs/promises';
import { throwIfCancelled } from '../../base/errors.ts';
import { isObjectName } from '../object-name.ts';
import type { StoredObject } from '../storage.ts';
import { isAbsent } from './io-errors.ts';
import type { Root } from './root.ts';

interface Entry extends StoredObject {
  readonly isFolder: boolean;
}

/** Files looked at together: enough to keep the thread pool busy, little enough to hold. */
const batchSize = 128;

/**
 * Every file below `folder`, in no order, one directory open at a time. Memory: one batch and the folder names not yet
 * visited. What vanishes meanwhile is left out, unless the whole repository vanished: that is `storage.not-found`.
 * Temporary files, and whatever else has a name no object can have, are not shown. Symbolic links are followed.
 */
export async function* listObjects(root: Root, folder: string, signal?: AbortSignal): AsyncGenerator<StoredObject> {
  const folders = [folder];
  let vanished = false;
  for (let current = folders.pop(); current !== undefined; current = folders.pop()) {
    for await (const names of batches(root, current)) {
      throwIfCancelled(signal);
      const entries = await Promise.all(names.map((name) => look(root, name)));
      vanished ||= entries.includes('gone');
      const found = entries.filter((entry) => typeof entry === 'object');
      folders.push(...found.filter((entry) => entry.isFolder).map((entry) => entry.name));
      for (const { name, sizeBytes, isFolder } of found) if (!isFolder) yield { name, sizeBytes };
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

/** `other`: neither file nor directory, so nothing of ours. */
async function look(root: Root, name: string): Promise<Entry | 'gone' | 'other'> {
  try {
    const entry = await stat(root.resolve(name));
    if (!entry.isFile() && !entry.isDirectory()) return 'other';
    return { name, sizeBytes: entry.size, isFolder: entry.isDirectory() };
  } catch (error) {
    if (isAbsent(error)) return 'gone';
    throw error;
  }
}
