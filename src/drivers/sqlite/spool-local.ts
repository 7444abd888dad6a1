/** The database a spool is made of, as a file of this machine. */
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import { databaseHeaderBytes } from '../../protocols/sqlite/database-header.ts';
import type { SourceContext } from '../driver.ts';
import { copyOpenFile } from './copy-file.ts';
import type { Settings } from './settings.ts';
import type { Identity, SpoolSource } from './spool.ts';

const blockBytes = 256 * 1024;
const lanes = 2;
/** A time stamp younger than this may hide a second write within the same tick of the kernel's clock. */
const tickMs = 50;

type Copier = Pick<SourceContext<Settings>, 'clock' | 'local' | 'signal'>;

export async function localMain(
  realPath: string,
  { clock, local, signal }: Copier,
): Promise<SpoolSource & AsyncDisposable> {
  const main = await open(systemPath(realPath), 'r');
  return {
    identify: () => identify(main, clock),
    copyTo: async (path) => {
      const check = (): void => throwIfCancelled(signal);
      await (await copyOpenFile({ from: main, path, local, check })).file.close();
    },
    correct: (copy, signal) => correct(main, copy, signal),
    sizeBytes: async () => (await main.stat()).size,
    [Symbol.asyncDispose]: () => main.close(),
  };
}

async function identify(main: FileHandle, clock: Clock): Promise<Identity> {
  const header = Buffer.alloc(databaseHeaderBytes);
  await main.read(header, 0, header.length, 0);
  const { size, mtimeNs, ctimeNs } = await main.stat({ bigint: true });
  const ageMs = clock.nowMs() - Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6;
  return { size: Number(size), header, mtimeNs, ctimeNs, settled: ageMs > tickMs };
}

/** Makes the copy equal where it differs, and returns how many blocks differed. */
async function correct(main: FileHandle, spool: FileHandle, signal: AbortSignal): Promise<number> {
  const copies = Array.from({ length: lanes }, () => Buffer.allocUnsafe(blockBytes));
  return await eachBlock(main, signal, async (block, position, lane) => {
    const copy = copies[lane].subarray(0, block.length);
    const same = (await readFully(spool, copy, position)) === block.length && copy.equals(block);
    if (!same) await writeFully(spool, block, position);
    return !same;
  });
}

/** Reads the whole file in two lanes; counts the blocks for which `task` says yes. */
async function eachBlock(
  main: FileHandle,
  signal: AbortSignal,
  task: (block: Buffer, position: number, lane: number) => Promise<boolean>,
): Promise<number> {
  const { size } = await main.stat();
  let next = 0;
  let counted = 0;
  const walk = async (lane: number): Promise<void> => {
    const buffer = Buffer.allocUnsafe(blockBytes);
    while (next < size) {
      throwIfCancelled(signal);
      const position = next;
      next += blockBytes;
      const count = await readFully(main, buffer, position);
      if (await task(buffer.subarray(0, count), position, lane)) counted++;
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: lanes }, (_, lane) => walk(lane)));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return counted;
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
