/** Writes one file over SFTP, with several writes under way; zeros are left as holes. */
import type { SftpClient } from '../../protocols/sftp/client.ts';
import type { FileWriter } from '../host.ts';
import { writeFailure } from './failures.ts';

/** Bytes sent and not confirmed yet: also the memory bound of a writer. */
const mostBehind = 4 << 20;
const zeros = Buffer.alloc(256 << 10);

export interface OpenFarFile {
  readonly sftp: SftpClient;
  readonly handle: Buffer;
  readonly path: string;
  /** The file is new: what is not written reads as zeros. */
  readonly sparse: boolean;
  /** Each file is flushed on its own, for want of a way to flush all at the end. */
  readonly flush: boolean;
  /** Gives the complete file its name. */
  readonly publish: () => Promise<void>;
  /** Removes the incomplete file. */
  readonly remove: () => Promise<void>;
  /** Told once, when the file is closed either way. */
  readonly released: () => void;
}

/** A write that failed is told by the next call, at the latest by `close`. */
export function farFileWriter(file: OpenFarFile): FileWriter {
  const { sftp, handle } = file;
  const behind = new Set<Promise<void>>();
  let behindBytes = 0;
  let failure: { error: unknown } | undefined;
  let open = true;
  const send = (bytes: Uint8Array, position: number): void => {
    behindBytes += bytes.length;
    const sent = sftp
      .write(handle, position, bytes)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        behindBytes -= bytes.length;
        behind.delete(sent);
      });
    behind.add(sent);
  };
  const confirmed = async (most: number): Promise<void> => {
    while (behindBytes > most) await Promise.race(behind);
    if (failure) throw writeFailure(file.path, failure.error);
  };
  const release = async (): Promise<void> => {
    open = false;
    file.released();
    await sftp.release(handle);
  };
  return {
    async writeAt(bytes, position) {
      for (const { from, to } of parts(bytes.length, sftp.writeLength)) {
        const part = bytes.subarray(from, to);
        if (file.sparse && zeros.compare(part, 0, part.length, 0, part.length) === 0) continue;
        send(part, position + from);
        await confirmed(mostBehind);
      }
    },
    async close() {
      if (!open) return;
      try {
        await confirmed(0);
        if (file.flush) await sftp.fsync(handle);
        await release();
        await file.publish();
      } catch (error) {
        await Promise.all(behind);
        if (open) await release().catch(() => {});
        await file.remove().catch(() => {});
        throw writeFailure(file.path, error);
      }
    },
    async abandon() {
      if (!open) return;
      await Promise.all(behind);
      open = false;
      file.released();
      if (sftp.broken) return; // its rest cannot be reached any more
      await sftp.release(handle);
      await file.remove();
    },
  };
}

/** Stretches of at most `length`. */
export function parts(total: number, length: number): { readonly from: number; readonly to: number }[] {
  return Array.from({ length: Math.ceil(total / length) }, (_, at) => ({
    from: at * length,
    to: Math.min((at + 1) * length, total),
  }));
}
