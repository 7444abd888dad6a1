/** Files of snapshots, fetched from a server by a link that is good for one time. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import { type RemoteServer, unreachable } from './server.ts';

export interface Wanted {
  readonly snapshot: string;
  readonly path?: string;
  readonly repository?: string;
}

export interface Fetched {
  readonly snapshot: string;
  readonly time: string;
  readonly name: string;
  readonly bytes?: number;
  readonly parts: AsyncIterable<Uint8Array>;
}

export async function fetchFile(wanted: Wanted, server: RemoteServer): Promise<Fetched> {
  const { snapshot, path, repository } = wanted;
  const link = await server.json<{ url: string; snapshot: string; time: string }>('/api/downloads', {
    method: 'POST',
    body: { snapshot, path, repository },
  });
  // The link names the server as people reach it, which is not always how it is reached from here.
  const response = await server.ask(new URL(link.url).pathname, { open: true });
  const length = response.headers.get('content-length');
  return {
    snapshot: link.snapshot,
    time: link.time,
    name: nameOf(response.headers.get('content-disposition') ?? ''),
    ...(length === null ? {} : { bytes: Number(length) }),
    parts: whole(response, length === null ? undefined : Number(length), server.url),
  };
}

/** Nothing that was cut off is taken for the whole. */
async function* whole(response: Response, expected: number | undefined, url: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const part of response.body ?? []) {
      bytes += part.byteLength;
      yield part;
    }
  } catch (error) {
    throw unreachable(url, error);
  }
  if (expected !== undefined && bytes !== expected)
    throw unreachable(url, new Error(`${bytes} of ${expected} bytes came`));
}

function nameOf(disposition: string): string {
  const encoded = /filename\*=UTF-8''([^;]+)/.exec(disposition)?.[1];
  // The last part only: a name is no way out of the folder.
  return basename(encoded === undefined ? 'download' : decodeURIComponent(encoded)) || 'download';
}

/** The file appears under its name when it is complete and on the disk; it must not exist. */
export async function saveFile({ parts, bytes: bytesTotal }: Fetched, file: string, report: Report): Promise<number> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.part`;
  try {
    // Claims the name, so that nothing that appears meanwhile is overwritten.
    await (await open(file, 'wx', 0o600)).close();
  } catch (cause) {
    throw cannotWrite(file, cause);
  }
  try {
    await using handle = await open(temporary, 'wx', 0o600);
    let bytesDone = 0;
    for await (const part of parts) {
      await handle.writeFile(part);
      bytesDone += part.byteLength;
      report({ type: 'progress', stage: 'download', bytesDone, bytesTotal, subject: file });
    }
    await handle.sync();
    await rename(temporary, file);
    return bytesDone;
  } catch (error) {
    await rm(temporary, { force: true });
    await rm(file, { force: true });
    throw error;
  }
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
