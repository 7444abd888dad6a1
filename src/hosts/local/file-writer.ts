/** Writes one local file of known size; zeros are left as holes. */
import { close, fsync, write } from 'node:fs';
import { promisify } from 'node:util';
import type { FileWriter } from '../host.ts';
import { writeFailure } from './failures.ts';

const writeAsync = promisify(write);
const closeAsync = promisify(close);
const fsyncAsync = promisify(fsync);

/** Zeros are looked for in pieces of this size: a multiple of every file system's block. */
const piece = 64 * 1024;
const zeros = Buffer.alloc(piece);

export interface OpenFile {
  readonly fd: number;
  readonly path: string;
  /** The file is new: what is not written reads as zeros. */
  readonly sparse: boolean;
  /** Each file is flushed on its own, for want of a way to flush all at the end. */
  readonly flush: boolean;
  /** Gives the complete file its name. */
  readonly publish: () => void;
  /** Removes the incomplete file. */
  readonly remove: () => void;
  /** Told once, when the file is closed either way. */
  readonly released: () => void;
}

export function fileWriter(file: OpenFile): FileWriter {
  let open = true;
  const release = async (): Promise<void> => {
    open = false;
    file.released();
    await closeAsync(file.fd);
  };
  return {
    async writeAt(bytes, position) {
      const parts = file.sparse ? dataParts(bytes) : [{ from: 0, to: bytes.length }];
      try {
        for (const { from, to } of parts) await writeFully(file.fd, bytes.subarray(from, to), position + from);
      } catch (error) {
        throw writeFailure(file.path, error);
      }
    },
    async close() {
      if (!open) return;
      try {
        if (file.flush) await fsyncAsync(file.fd);
        await release();
        file.publish();
      } catch (error) {
        if (open) await release();
        file.remove();
        throw writeFailure(file.path, error);
      }
    },
    async abandon() {
      if (!open) return;
      await release();
      file.remove();
    },
  };
}

async function writeFully(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await writeAsync(fd, bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** The stretches that hold anything but zeros, to the piece. */
export function dataParts(bytes: Uint8Array): { from: number; to: number }[] {
  const parts: { from: number; to: number }[] = [];
  for (let from = 0; from < bytes.length; from += piece) {
    const to = Math.min(from + piece, bytes.length);
    if (zeros.compare(bytes, from, to, 0, to - from) === 0) continue;
    const last = parts.at(-1);
    if (last?.to === from) last.to = to;
    else parts.push({ from, to });
  }
  return parts;
}
