/**
 * The bytes of a restored file against the ids of the blobs they were stored as: the SHA-256 of each stretch. What is
 * compared is what the snapshot says, not what a second reading of the repository would say.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import type { FileReader, HostFiles } from '../../hosts/host.ts';
import { idBytes, type Node } from '../../model/node.ts';

export interface ContentDifference {
  readonly expected: string;
  readonly found: string;
}

const stepBytes = 1 << 20;

export class ContentComparer {
  readonly #files: HostFiles;
  readonly #signal: AbortSignal;
  readonly #buffer = Buffer.alloc(stepBytes);
  readonly #zeros = Buffer.alloc(stepBytes);
  /** Digest of so many zeros: a hole of terabytes is few different blobs. */
  readonly #zeroDigests = new Map<number, Buffer>();

  constructor(files: HostFiles, signal: AbortSignal) {
    this.#files = files;
    this.#signal = signal;
  }

  /** The first difference; `undefined` if the content is equal. Memory: one step, whatever the blobs' lengths. */
  async compare(path: string, node: Node, lengths: readonly number[]): Promise<ContentDifference | undefined> {
    const content = node.content ?? new Uint8Array();
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (lengths.length * idBytes !== content.length || total !== node.size) {
      return { expected: `${node.size} bytes`, found: `blobs of ${total} bytes in the snapshot` };
    }
    if (this.#files.readWhole && total < stepBytes) return this.#compareSmall(path, content, lengths, total);
    const reader = await this.#files.open(path);
    try {
      return await this.#compareStream(reader, content, lengths);
    } finally {
      await reader.close();
    }
  }

  #compareSmall(
    path: string,
    content: Uint8Array,
    lengths: readonly number[],
    total: number,
  ): ContentDifference | undefined {
    const length = this.#files.readWhole!(path, this.#buffer);
    if (length !== total) return { expected: `${total} bytes`, found: length < 0 ? 'more' : `${length} bytes` };
    let offset = 0;
    for (const [at, size] of lengths.entries()) {
      const digest = hash('sha256', this.#buffer.subarray(offset, offset + size), 'buffer');
      const difference = differs(content, at, offset, digest);
      if (difference) return difference;
      offset += size;
    }
    return undefined;
  }

  async #compareStream(
    reader: FileReader,
    content: Uint8Array,
    lengths: readonly number[],
  ): Promise<ContentDifference | undefined> {
    let offset = 0;
    let hole = 0;
    for (const [at, length] of lengths.entries()) {
      throwIfCancelled(this.#signal);
      if (hole === 0) hole = (await reader.skipHole?.(length)) ?? 0;
      const zeros = Math.min(hole, length);
      hole -= zeros;
      const digest = zeros === length ? this.#zeroDigest(length) : await this.#digest(reader, zeros, length - zeros);
      const difference = differs(content, at, offset, digest);
      if (difference) return difference;
      offset += length;
    }
    const more = hole > 0 || (await reader.read(this.#buffer)) > 0;
    return more ? { expected: `${offset} bytes`, found: 'more' } : undefined;
  }

  /** Of `zeros` zeros and the next `length` bytes of the file, or as many as there are. */
  async #digest(reader: FileReader, zeros: number, length: number): Promise<Buffer> {
    const sum = createHash('sha256');
    this.#addZeros(sum, zeros);
    for (let left = length; left > 0; ) {
      const count = await reader.read(this.#buffer.subarray(0, Math.min(left, stepBytes)));
      if (count === 0) break;
      sum.update(this.#buffer.subarray(0, count));
      left -= count;
    }
    return sum.digest();
  }

  #zeroDigest(length: number): Buffer {
    const known = this.#zeroDigests.get(length);
    if (known) return known;
    const sum = createHash('sha256');
    this.#addZeros(sum, length);
    const digest = sum.digest();
    if (this.#zeroDigests.size < 1000) this.#zeroDigests.set(length, digest);
    return digest;
  }

  #addZeros(sum: Hash, count: number): void {
    for (let left = count; left > 0; left -= stepBytes) sum.update(this.#zeros.subarray(0, Math.min(left, stepBytes)));
  }
}

function differs(content: Uint8Array, blob: number, offset: number, digest: Uint8Array): ContentDifference | undefined {
  const id = content.subarray(blob * idBytes, (blob + 1) * idBytes);
  if (equalBytes(id, digest)) return undefined;
  return { expected: `${toHex(id)} at byte ${offset}`, found: toHex(digest) };
}
