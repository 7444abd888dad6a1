/** The database a spool is made of, as a file of another host. */
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '../../../base/clock.ts';
import { throwIfCancelled } from '../../../base/errors.ts';
import type { Host } from '../../../hosts/host.ts';
import { databaseHeaderBytes } from '../../../protocols/sqlite/database-header.ts';
import type { SpoolSource } from '../spool.ts';
import {
  type FarIdentity,
  fetchFile,
  fill,
  headOf,
  identityOf,
  sameFarIdentity,
  settleMs,
  writeFully,
} from './far-files.ts';

const blockBytes = 256 * 1024;

export interface FarMain {
  readonly host: Host;
  readonly realPath: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `read` compares and corrects; without it, by reading everything again. */
export function farMain(main: FarMain, read: Pick<SpoolSource, 'correct'> = byReading(main)): SpoolSource {
  const { host, realPath, clock, signal } = main;
  const look = async (): Promise<FarIdentity> => identityOf(await host.files.attributes(realPath));
  let before: FarIdentity | undefined;
  return {
    // The clocks of two machines cannot be compared: what is the same after a while is older than that while.
    settle: async () => {
      before = await look();
      await clock.sleep(settleMs(before), { signal });
    },
    identify: async () => {
      const now = await look();
      const header = await headOf(host, realPath, databaseHeaderBytes);
      return {
        size: now.size,
        mtimeNs: now.mtimeNs,
        ctimeNs: now.ctimeNs,
        header,
        settled: sameFarIdentity(before, now),
      };
    },
    copyTo: async (path) => {
      await using copy = await open(path, 'wx', 0o600);
      await fetchFile({ host, path: realPath, into: copy, limitBytes: (await look()).size, signal });
    },
    correct: (copy, stop) => read.correct(copy, stop),
    sizeBytes: async () => (await look()).size,
  };
}

function byReading(main: FarMain): Pick<SpoolSource, 'correct'> {
  return { correct: (copy, stop) => correct(main, copy, stop) };
}

/** Memory: two blocks. */
async function correct({ host, realPath }: FarMain, copy: FileHandle, stop: AbortSignal): Promise<number> {
  const { size } = await host.files.attributes(realPath);
  const reader = await host.files.open(realPath);
  const [theirs, ours] = [Buffer.allocUnsafe(blockBytes), Buffer.allocUnsafe(blockBytes)];
  let changed = 0;
  try {
    for (let position = 0; position < size; position += blockBytes) {
      throwIfCancelled(stop);
      const block = theirs.subarray(0, await fill(reader, theirs));
      if (block.length === 0) return changed;
      const { bytesRead } = await copy.read(ours, 0, block.length, position);
      if (bytesRead !== block.length || !ours.subarray(0, block.length).equals(block)) {
        await writeFully(copy, block, position);
        changed++;
      }
    }
    return changed;
  } finally {
    await reader.close();
  }
}
