/** Moves bytes between memory and an open file of the server, many requests at once. */
import { throwIfCancelled } from '../../base/errors.ts';
import { paceOf } from '../../base/pace.ts';
import type { SftpClient } from '../../protocols/sftp/client.ts';

/** Bytes on their way at once for one object: fills a connection of 100 MB/s at 40 ms. */
const inFlightBytes = 4 << 20;

/** Writes the parts from the beginning of the file. Memory: what is in flight. */
export async function writeAll(
  sftp: SftpClient,
  handle: Buffer,
  parts: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<void> {
  let offset = 0;
  await inFlight(sftp.writeLength, chunksOf(parts, sftp.writeLength), signal, async (chunk) => {
    const at = offset;
    offset += chunk.byteLength;
    await paceOf(chunk.byteLength);
    await sftp.write(handle, at, chunk);
  });
}

/** Fills `into` from `offset`; false if the file ends before. */
export async function readInto(
  sftp: SftpClient,
  handle: Buffer,
  { offset, into }: { readonly offset: number; readonly into: Uint8Array },
  signal?: AbortSignal,
): Promise<boolean> {
  let whole = true;
  await inFlight(sftp.readLength, piecesOf(into.byteLength, sftp.readLength), signal, async ({ from, to }) => {
    // servers may give fewer bytes than were asked for
    for (let at = from; at < to && whole; ) {
      const bytes = await sftp.read(handle, offset + at, to - at);
      if (bytes.byteLength === 0) whole = false;
      into.set(bytes, at);
      at += bytes.byteLength;
      await paceOf(bytes.byteLength);
    }
  });
  return whole;
}

/** Starts one request after the other as long as there is room; ends when all are answered, with the first error. */
async function inFlight<T>(
  each: number,
  items: Iterable<T>,
  signal: AbortSignal | undefined,
  start: (item: T) => Promise<void>,
): Promise<void> {
  const most = Math.max(2, Math.floor(inFlightBytes / each));
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  for (const item of items) {
    if (failure || signal?.aborted) break;
    const request = start(item)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => running.delete(request));
    running.add(request);
    if (running.size >= most) await Promise.race(running);
  }
  await Promise.all(running);
  if (failure) throw failure.error;
  throwIfCancelled(signal);
}

/** The parts in pieces of `length`: views where a part is long enough, else small parts together in a new buffer. */
function* chunksOf(parts: readonly Uint8Array[], length: number): Generator<Uint8Array> {
  let gathered: Buffer | undefined;
  let filled = 0;
  for (const part of parts) {
    for (let at = 0; at < part.byteLength; ) {
      if (filled === 0 && part.byteLength - at >= length) {
        yield part.subarray(at, at + length);
        at += length;
        continue;
      }
      gathered ??= Buffer.allocUnsafeSlow(length);
      const taken = part.subarray(at, at + length - filled);
      gathered.set(taken, filled);
      filled += taken.byteLength;
      at += taken.byteLength;
      if (filled < length) continue;
      yield gathered;
      gathered = undefined;
      filled = 0;
    }
  }
  if (gathered && filled > 0) yield gathered.subarray(0, filled);
}

function* piecesOf(total: number, length: number): Generator<{ from: number; to: number }> {
  for (let from = 0; from < total; from += length) yield { from, to: Math.min(total, from + length) };
}
