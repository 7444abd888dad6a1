/**
 * WAL mode on another host where python3 holds the read transaction: the database is passed on as it comes, with the log's
 * committed frames laid over it, exactly as on this machine (`../hold-wal.ts`). Only the log is copied beforehand.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../../base/errors.ts';
import type { FileReader } from '../../../hosts/host.ts';
import { OverlayStream } from '../../../protocols/sqlite/overlay.ts';
import {
  frameHeaderBytes,
  mapWalPages,
  noWalPages,
  type WalPages,
  walHeaderBytes,
} from '../../../protocols/sqlite/wal.ts';
import type { WalIndex } from '../../../protocols/sqlite/wal-index.ts';
import type { SourceContext } from '../../driver.ts';
import type { ByteStream } from '../../entries.ts';
import type { Held } from '../held.ts';
import { explain } from '../holder-client.ts';
import type { Fingerprinted } from '../messages.ts';
import type { Place } from '../place.ts';
import type { Settings } from '../settings.ts';
import { makeSpoolRoom, type SpoolRoom } from '../spool-room.ts';
import { fetchFile, fill } from './far-files.ts';
import { type FarGuard, startGuard } from './far-guard.ts';
import type { ExactFarHolder, ExactFarState } from './lock-holder.ts';

export interface StreamedHold {
  readonly source: SourceContext<Settings>;
  readonly place: Place;
  /** Holds a read transaction on `state`; disposed with the result, or when this throws. */
  readonly holder: ExactFarHolder;
  readonly state: ExactFarState & { readonly walIndex: WalIndex };
}

export async function holdStreamed(hold: StreamedHold): Promise<Held> {
  const { source, place, holder } = hold;
  try {
    const guard = await startGuard(source, place, holder);
    try {
      return await holdGuarded(hold, guard);
    } catch (error) {
      await guard.stop();
      throw guard.failure()?.error ?? error;
    }
  } catch (error) {
    await holder[Symbol.asyncDispose]();
    throw explain(error, place.path);
  }
}

async function holdGuarded(hold: StreamedHold, guard: FarGuard): Promise<Held> {
  const log = await fetchLog(hold);
  try {
    return holdState(hold, log, guard);
  } catch (error) {
    await log.remove();
    throw error;
  }
}

/** The frames of the state, here. */
interface FetchedLog {
  readonly file?: FileHandle;
  readonly pages: WalPages;
  remove(): Promise<void>;
}

/** If every frame was backfilled, the main file alone is the state, and the log must not be looked at (see `../hold-wal.ts`). */
async function fetchLog({ source, place, state }: StreamedHold): Promise<FetchedLog> {
  const { walIndex } = state;
  if (walIndex.backfilled >= walIndex.lastFrame) return { pages: noWalPages, remove: async () => {} };
  const bytes = walHeaderBytes + walIndex.lastFrame * (frameHeaderBytes + walIndex.pageBytes);
  const room = await makeSpoolRoom(source, `the write-ahead log of ${place.path}`, bytes);
  return await fetchInto(source, place, walIndex, { room, bytes });
}

async function fetchInto(
  source: SourceContext<Settings>,
  place: Place,
  walIndex: WalIndex,
  { room, bytes }: { room: SpoolRoom; bytes: number },
): Promise<FetchedLog> {
  let file: FileHandle | undefined;
  const remove = async (): Promise<void> => {
    await file?.close();
    await room.remove();
  };
  try {
    file = await open(join(room.directory, 'log'), 'wx+', 0o600);
    const { host, signal } = source;
    await fetchFile({ host, path: `${place.realPath}-wal`, into: file, limitBytes: bytes, signal });
    return { file, pages: mapWalPages(file.fd, walIndex, place.path), remove };
  } catch (error) {
    await file?.close();
    throw await room.giveUp(error);
  }
}

function holdState(hold: StreamedHold, log: FetchedLog, guard: FarGuard): Held {
  const { place, holder, state } = hold;
  const sizeBytes = sizeOf(hold);
  const check = (): void => {
    const failure = guard.failure();
    if (failure) throw failure.error;
    if (holder.ended) throw holder.ended;
  };
  const fingerprint = fingerprintOf(hold, () => guard.failure()?.error);
  const readers = new Set<FileReader>();
  return {
    pageBytes: state.pageBytes,
    sizeBytes,
    stream: () => openStream(hold, { log, sizeBytes, readers, check }),
    fingerprint,
    facts: {
      walPagesLaidOver: log.pages.pages.length,
      walBytesLaidOver: log.pages.pages.length * state.pageBytes,
      writerPauseMs: 0,
    },
    notes: [],
    complete: async () => {
      await fingerprint;
      check();
      // its answer proves that the lock was held until every byte had arrived
      await holder.release().catch((error: unknown) => {
        throw guard.failure()?.error ?? explain(error, place.path);
      });
      await guard.stop();
    },
    [Symbol.asyncDispose]: async () => {
      await guard.stop();
      for (const reader of readers) await reader.close();
      await holder[Symbol.asyncDispose]();
      await log.remove();
    },
  };
}

function sizeOf({ place, state }: StreamedHold): number {
  const { walIndex, pageCount, pageBytes } = state;
  if (walIndex.pageCount === 0 || walIndex.pageCount === pageCount) return pageCount * pageBytes;
  throw new HoldfastError({
    code: 'internal',
    message: `SQLite sees ${pageCount} pages in ${place.path}, its wal-index says ${walIndex.pageCount}`,
    remedy: 'Run it again; if it stays, report it with this message.',
    retry: 'now',
  });
}

interface Streaming {
  readonly log: FetchedLog;
  readonly sizeBytes: number;
  /** Those that are open: whoever stops in the midst of reading may leave them so. */
  readonly readers: Set<FileReader>;
  readonly check: () => void;
}

async function openStream({ source, place, state }: StreamedHold, streaming: Streaming): Promise<ByteStream> {
  const { log, sizeBytes, readers, check } = streaming;
  const reader = await source.host.files.open(place.realPath);
  readers.add(reader);
  const main = {
    // `OverlayStream` asks for one stretch after another; nothing comes after the file's end
    read: async (into: Buffer, offset: number, length: number) => ({
      bytesRead: await fill(reader, into.subarray(offset, offset + length)),
    }),
  };
  const overlay = { pageBytes: state.pageBytes, sizeBytes, wal: log.pages };
  const stream = new OverlayStream({ main, wal: log.file }, overlay, check);
  return {
    read: (into) => stream.read(into),
    close: async () => {
      readers.delete(reader);
      await reader.close();
    },
  };
}

function fingerprintOf(hold: StreamedHold, failure: () => unknown): Promise<Fingerprinted> | undefined {
  const { source, place, holder } = hold;
  const level = source.settings.fingerprint;
  if (level === 'off') return undefined;
  const asked = holder.fingerprint(level).catch((error: unknown) => {
    throw failure() ?? explain(error, place.path);
  });
  asked.catch(() => {}); // whoever awaits it gets it; until then it is no unhandled rejection
  return asked;
}
