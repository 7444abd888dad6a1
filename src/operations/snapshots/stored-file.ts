/** A file of a snapshot, or a folder as a tar file, to be sent somewhere. */
import { posix } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import { writeTar } from '../../engine/tar.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { openFound } from './opened-contents.ts';

export const storedFileRequest = z.object({
  snapshot: z.string(),
  /** A file, or a folder; the one file of the snapshot if it holds only one, else everything. */
  path: z.string().optional(),
  repository: z.string().optional(),
});
export type StoredFileRequest = z.infer<typeof storedFileRequest>;

export interface StoredFile extends AsyncDisposable {
  readonly snapshot: string;
  /** When it was made, RFC 3339. */
  readonly time: string;
  readonly name: string;
  /** Of a file; a tar file is made while it is read. */
  readonly bytes?: number;
  readonly parts: AsyncIterable<Uint8Array>;
}

/** Opens; disposing releases the lock on the repository. `snapshot.unknown`, `snapshot.path-missing`. Memory: a few blobs. */
export async function openStoredFile(
  request: StoredFileRequest,
  uses: RepositoryAccess & Execution,
): Promise<StoredFile> {
  const opened = await openFound(request.snapshot, request.repository, { ...uses, stage: 'download' });
  try {
    const { contents, snapshot } = opened;
    const only = contents.paths.length === 1 ? contents.paths[0] : '/';
    const path = posix.resolve('/', request.path ?? only);
    const node = path === '/' ? undefined : await contents.node(path);
    if (path !== '/' && node?.type !== 'file' && node?.type !== 'dir') throw missing(snapshot.id, path);
    const dispose = {
      snapshot: snapshot.id,
      time: snapshot.time,
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
    if (node?.type === 'file') {
      const parts = node.size === 0 ? none() : contents.read(path);
      return { ...dispose, name: posix.basename(path), bytes: node.size, parts };
    }
    const name = `${posix.basename(path) || snapshot.id.slice(0, 8)}.tar`;
    return { ...dispose, name, parts: writeTar(contents, path, uses.signal) };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

async function* none(): AsyncGenerator<Uint8Array> {}

function missing(snapshot: string, path: string): HoldfastError {
  return new HoldfastError({
    code: 'snapshot.path-missing',
    message: `snapshot ${snapshot.slice(0, 8)} holds no file or folder ${printableName(path)}`,
    remedy: 'List what it holds with: holdfast ls',
  });
}
