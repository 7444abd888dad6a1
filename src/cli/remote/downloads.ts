/** Files of snapshots, fetched from a server by a link that is good for one time. */
import { basename } from 'node:path';
import { HoldfastError, messageOf, systemCode, throwIfCancelled } from '../../base/errors.ts';
import { createWhole } from '../../base/whole-file.ts';
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
    parts: whole(response, length === null ? undefined : Number(length), server),
  };
}

/** Nothing that was cut off is taken for the whole. */
async function* whole(
  response: Response,
  expected: number | undefined,
  { url, signal }: RemoteServer,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const part of response.body ?? []) {
      bytes += part.byteLength;
      yield part;
    }
  } catch (error) {
    throwIfCancelled(signal);
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

/** The file appears under its name when it is complete and on the disk; it must not exist. What is cut off leaves nothing. */
export async function saveFile({ parts, bytes: bytesTotal }: Fetched, file: string, report: Report): Promise<number> {
  try {
    return await createWhole(file, 0o600, async (handle) => {
      let bytesDone = 0;
      for await (const part of parts) {
        await handle.writeFile(part);
        bytesDone += part.byteLength;
        report({ type: 'progress', stage: 'download', bytesDone, bytesTotal, subject: file });
      }
      return bytesDone;
    });
  } catch (error) {
    throw error instanceof HoldfastError || systemCode(error) === undefined ? error : cannotWrite(file, error);
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
