/** Which blobs of a file are on disk already: for restores in place, which rewrite only what differs, and for drills. */
import { hasCode, systemCode, throwIfCancelled } from '../base/errors.ts';
import type { FileReader, Host } from '../hosts/host.ts';
import type { Node } from '../model/node.ts';
import type { BlobIndex, WorkerPool } from '../repository/index.ts';

const stepBytes = 8 << 20;

/**
 * One byte per blob of `node.content`, 1 where the file at `path` holds exactly that blob at its place; `undefined` if
 * there is no such file. Reads the file once. Memory: one step, or one blob if that is larger.
 */
export async function compareContent(request: {
  host: Host;
  pool: WorkerPool;
  index: BlobIndex;
  path: string;
  node: Node;
  signal?: AbortSignal;
}): Promise<Uint8Array | undefined> {
  const { host, index, node } = request;
  const content = node.content ?? new Uint8Array();
  let reader: FileReader;
  try {
    reader = await host.files.open(request.path);
  } catch (error) {
    if (hasCode(error, 'source.missing', 'source.unreadable') || systemCode(error) !== undefined) return undefined;
    throw error;
  }
  try {
    const lengths: number[] = [];
    for (let at = 0; at < content.byteLength; at += 32)
      lengths.push(index.plainLength(index.find('data', content, at)));
    return await compareBlobs(reader, lengths, content, request);
  } finally {
    await reader.close();
  }
}

async function compareBlobs(
  reader: FileReader,
  lengths: readonly number[],
  content: Uint8Array,
  { pool, signal }: { pool: WorkerPool; signal?: AbortSignal },
): Promise<Uint8Array> {
  const equal = new Uint8Array(lengths.length);
  let memory = new SharedArrayBuffer(stepBytes);
  for (let first = 0; first < lengths.length; ) {
    throwIfCancelled(signal);
    const ranges: number[] = [];
    let bytes = 0;
    let next = first;
    while (next < lengths.length && (next === first || bytes + lengths[next] <= stepBytes)) {
      ranges.push(bytes, lengths[next]);
      bytes += lengths[next++];
    }
    if (bytes > memory.byteLength) memory = new SharedArrayBuffer(bytes);
    const got = await readFully(reader, Buffer.from(memory, 0, bytes));
    const ids = await pool.run<'hash'>({ kind: 'hash', slab: memory, ranges: Uint32Array.from(ranges) });
    for (let i = first; i < next; i++) {
      const [offset, length] = ranges.slice((i - first) * 2, (i - first) * 2 + 2);
      const id = Buffer.from(ids.buffer, ids.byteOffset + (i - first) * 32, 32);
      if (offset + length <= got && id.equals(content.subarray(i * 32, i * 32 + 32))) equal[i] = 1;
    }
    if (got < bytes) break;
    first = next;
  }
  return equal;
}

async function readFully(reader: FileReader, into: Uint8Array): Promise<number> {
  let got = 0;
  while (got < into.byteLength) {
    const count = await reader.read(into.subarray(got));
    if (count === 0) break;
    got += count;
  }
  return got;
}
