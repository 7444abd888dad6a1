/** The bytes of one file of a snapshot: for `cat` and `download`. */

import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, posix } from 'node:path';
import { z } from 'zod';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import { printableName, systemPath } from '../../base/names.ts';
import type { SnapshotContents } from '../../drivers/driver.ts';
import { type Emitting, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { openFound } from './opened-contents.ts';

const input = z.object({
  snapshot: z.string(),
  /** The one file of the snapshot if it holds only one, as those of databases do. */
  path: z.string().optional(),
  repository: z.string().optional(),
});
const output = z.object({ snapshot: z.string(), path: z.string(), bytes: z.number() });

type Uses = RepositoryAccess & Execution;

/** Emits the file in order; memory: a few blobs. */
export const cat = operation({
  name: 'cat',
  permission: 'restorer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses & Emitting<Uint8Array>) => {
    await using opened = await openFound(request.snapshot, request.repository, uses);
    const path = await filePath(opened.contents, request.path);
    let bytes = 0;
    for await (const part of opened.contents.read(path)) {
      uses.signal.throwIfAborted();
      await uses.emit(part);
      bytes += part.byteLength;
    }
    return { snapshot: opened.snapshot.id, path, bytes };
  },
});

const downloadInput = input.extend({
  /** The file to write; the file's own name in the current directory by default. It must not exist. */
  to: z.string().optional(),
});
const downloadOutput = output.extend({ file: z.string() });

/** The file appears under its name when it is complete and on the disk. */
export const download = operation({
  name: 'download',
  permission: 'restorer',
  input: downloadInput,
  output: downloadOutput,
  run: async (request: z.infer<typeof downloadInput>, uses: Uses) => {
    await using opened = await openFound(request.snapshot, request.repository, { ...uses, stage: 'download' });
    const path = await filePath(opened.contents, request.path);
    const size = (await opened.contents.node(path))?.size;
    const file = request.to ?? basename(path);
    const bytes = await writeFileOnce(file, counted(opened.contents.read(path), size, uses, path));
    return { snapshot: opened.snapshot.id, path, bytes, file };
  },
});

async function filePath(contents: SnapshotContents, wanted: string | undefined): Promise<string> {
  const path = wanted === undefined ? contents.paths[0] : posix.resolve('/', wanted);
  const node = path === undefined ? undefined : await contents.node(path);
  if (node?.type === 'file' && (wanted !== undefined || contents.paths.length === 1)) return path;
  throw new HoldfastError({
    code: wanted === undefined ? 'usage.invalid' : 'snapshot.path-missing',
    message:
      wanted === undefined
        ? `snapshot ${contents.id.slice(0, 8)} holds more than one file`
        : `snapshot ${contents.id.slice(0, 8)} holds no file ${printableName(path)}`,
    remedy: 'Name one file of it; a directory comes back with: holdfast restore … --include PATH --to DIRECTORY',
  });
}

async function* counted(
  parts: AsyncIterable<Uint8Array>,
  bytesTotal: number | undefined,
  { report, signal }: Uses,
  subject: string,
): AsyncGenerator<Uint8Array> {
  let bytesDone = 0;
  for await (const part of parts) {
    signal.throwIfAborted();
    yield part;
    bytesDone += part.byteLength;
    report({ type: 'progress', stage: 'download', bytesDone, bytesTotal, subject });
  }
}

async function writeFileOnce(file: string, parts: AsyncIterable<Uint8Array>): Promise<number> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.part`;
  try {
    // Claims the name, so that nothing that appears meanwhile is overwritten.
    await (await open(systemPath(file), 'wx', 0o600)).close();
  } catch (cause) {
    throw cannotWrite(file, cause);
  }
  try {
    const bytes = await writeAll(temporary, parts);
    await rename(systemPath(temporary), systemPath(file));
    return bytes;
  } catch (error) {
    await rm(systemPath(temporary), { force: true });
    await rm(systemPath(file), { force: true });
    throw error;
  }
}

async function writeAll(file: string, parts: AsyncIterable<Uint8Array>): Promise<number> {
  await using handle = await open(systemPath(file), 'wx', 0o600);
  let bytes = 0;
  for await (const part of parts) {
    await handle.writeFile(part);
    bytes += part.byteLength;
  }
  await handle.sync();
  return bytes;
}

function cannotWrite(file: string, cause: unknown): HoldfastError {
  const exists = systemCode(cause) === 'EEXIST';
  return new HoldfastError({
    code: exists ? 'restore.target-exists' : 'restore.target-invalid',
    message: exists ? `${file} exists already` : `${file} cannot be written: ${messageOf(cause)}`,
    remedy: 'Name another file with --to.',
    cause,
  });
}
