/**
 * WAL mode: a held read transaction, and the main file with the WAL's committed frames laid over it. Writers never wait.
 * See `protocols/sqlite/overlay.ts` for why the copy cannot be torn.
 */
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import {
  heldReadMark,
  holdsByte,
  readLockTable,
  sharedIndexByte,
  sharedLockByte,
} from '../../protocols/sqlite/lock-table.ts';
import {
  closeDatabaseFiles,
  type DatabaseFiles,
  type DatabaseState,
  OverlayStream,
  openDatabaseFiles,
} from '../../protocols/sqlite/overlay.ts';
import { mapWalPages, noWalPages } from '../../protocols/sqlite/wal.ts';
import { parseWalIndex, type WalIndex } from '../../protocols/sqlite/wal-index.ts';
import type { SourceContext } from '../driver.ts';
import { copyState } from './copy-state.ts';
import type { Copyable } from './held.ts';
import { explain, type HolderClient } from './holder-client.ts';
import type { Fingerprinted, HeldState } from './messages.ts';
import { freeBytes, type Place, walBytes } from './place.ts';
import type { Settings } from './settings.ts';
import { walLimit, watchWal } from './wal-guard.ts';

export interface WalHold {
  readonly source: SourceContext<Settings>;
  readonly place: Place;
  readonly holder: HolderClient;
  readonly holderPid: number;
  readonly held: HeldState;
}

/** Takes over a holder that holds a read transaction; disposing the result disposes the holder. */
export async function holdWal(hold: WalHold): Promise<Copyable> {
  const { source, place, holder } = hold;
  const index = indexOf(hold);
  const wholeInMain = index.backfilled >= index.lastFrame;
  const limitBytes = await walLimit(source.settings.maxWalBytes, () => freeBytes(place.realPath));
  const files = await openDatabaseFiles(place.realPath, !wholeInMain);
  try {
    await proveHeld(hold, files, wholeInMain);
    return holdState(hold, files, stateOf(hold, index, files), limitBytes);
  } catch (error) {
    await closeDatabaseFiles(files);
    await holder[Symbol.asyncDispose]();
    throw error;
  }
}

function indexOf({ held, place }: WalHold): WalIndex {
  const index = held.walIndex === undefined ? undefined : parseWalIndex(Buffer.from(held.walIndex, 'base64'));
  if (index) return index;
  throw new HoldfastError({
    code: 'source.unsupported',
    message: `the database ${place.path} has no wal-index file that others could read`,
    remedy: 'Give Holdfast write access to the directory of the database; locking_mode=EXCLUSIVE must be off.',
  });
}

/**
 * Which bytes make up the state. If every frame was backfilled the main file alone is it, and the WAL must not be looked at:
 * with read mark 0 a writer may restart it under us.
 */
function stateOf({ held, place }: WalHold, index: WalIndex, files: DatabaseFiles): DatabaseState {
  const sizeBytes = held.pageCount * held.pageBytes;
  if (index.pageCount !== 0 && index.pageCount !== held.pageCount) {
    throw new HoldfastError({
      code: 'internal',
      message: `SQLite sees ${held.pageCount} pages in ${place.path}, its wal-index says ${index.pageCount}`,
      remedy: 'Run it again; if it stays, report it with this message.',
      retry: 'now',
    });
  }
  const wal = files.wal === undefined ? noWalPages : mapWalPages(files.wal.fd, index, place.path);
  return { pageBytes: held.pageBytes, sizeBytes, wal };
}

/** The kernel must list the locks SQLite believes in, on the very file we copy. Where it lists none (no procfs), SQLite is believed. */
async function proveHeld({ holderPid, place }: WalHold, files: DatabaseFiles, wholeInMain: boolean): Promise<void> {
  const locks = await readLockTable();
  if (locks === undefined) return await requireWritableIndex(place);
  const mark = heldReadMark(locks, holderPid);
  const shared = [sharedLockByte, sharedIndexByte].every((byte) => holdsByte(locks, holderPid, byte));
  if (mark === undefined || !shared) throw notLocked(place);
  if (mark === 0 && !wholeInMain) {
    throw new HoldfastError({
      code: 'internal',
      message: `read mark 0 is held on ${place.path} while its WAL is not wholly in the main file`,
      remedy: 'Run it again; if it stays, report it with this message.',
      retry: 'now',
    });
  }
  if (!(await hasOpen(holderPid, files))) {
    throw new HoldfastError({
      code: 'source.changed',
      message: `the database ${place.path} was replaced by another file while it was opened`,
      remedy: 'Run it again.',
      retry: 'now',
    });
  }
}

/** Whether a process has our main file open, by device and inode. */
async function hasOpen(pid: number, files: DatabaseFiles): Promise<boolean> {
  const own = await files.main.stat({ bigint: true });
  const folder = `/proc/${pid}/fd`;
  for (const name of await readdir(folder)) {
    const theirs = await stat(`${folder}/${name}`, { bigint: true }).catch(() => undefined);
    if (theirs?.ino === own.ino && theirs.dev === own.dev) return true;
  }
  return false;
}

async function requireWritableIndex(place: Place): Promise<void> {
  await access(systemPath(`${place.realPath}-shm`), constants.W_OK).catch(() => {
    throw notLocked(place);
  });
}

function notLocked(place: Place): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `no read lock can be held on ${place.path}: its directory is read-only and no program has it open, or its file system keeps no locks`,
    remedy:
      'Give Holdfast write access to the directory of the database, or back up while its program runs. Network file systems cannot hold a WAL database.',
  });
}

function holdState(hold: WalHold, files: DatabaseFiles, state: DatabaseState, limitBytes: number): Copyable {
  const { source, place, holder } = hold;
  const stop = new AbortController();
  let failure: { error: unknown } | undefined;
  const watching = watchWal({
    name: place.path,
    look: () => walBytes(place.realPath),
    lookEveryMs: 250,
    limitBytes,
    clock: source.clock,
    stop: stop.signal,
    exceeded: (error) => {
      failure = { error };
      // The lock is given up at once: a full disk is worse than a failed backup.
      void holder[Symbol.asyncDispose]();
    },
  });
  const check = (): void => {
    throwIfCancelled(source.signal);
    if (failure) throw failure.error;
    if (holder.ended) throw holder.ended;
  };
  const fingerprint = fingerprintOf(hold, () => failure?.error);
  return {
    pageBytes: state.pageBytes,
    sizeBytes: state.sizeBytes,
    stream: () => new OverlayStream(files, state, check),
    copyTo: (path) => copyState({ files, state, path, local: source.local, check }),
    fingerprint,
    facts: {
      walPagesLaidOver: state.wal.pages.length,
      walBytesLaidOver: state.wal.pages.length * state.pageBytes,
      writerPauseMs: 0,
    },
    notes: [],
    complete: async () => {
      await fingerprint;
      check();
      await holder.ask({ ask: 'release' });
      stop.abort();
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await watching;
      await holder[Symbol.asyncDispose]();
      await closeDatabaseFiles(files);
    },
  };
}

function fingerprintOf(hold: WalHold, failure: () => unknown): Promise<Fingerprinted> | undefined {
  const { source, place, holder } = hold;
  const level = source.settings.fingerprint;
  if (level === 'off' || source.settings.copyFirst) return undefined;
  const asked = holder.ask({ ask: 'fingerprint', level }).catch((error: unknown) => {
    throw failure() ?? explain(error, place.path);
  });
  asked.catch(() => {}); // whoever awaits it gets it; until then it is no unhandled rejection
  return asked;
}
