/** Our side of `holder.py`. The program goes to the host on stdin: nothing is written there. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoldfastError } from '../../../base/errors.ts';
import { encodeName } from '../../../base/names.ts';
import type { Host } from '../../../hosts/host.ts';
import {
  heldReadMark,
  holdsByte,
  parseLockTable,
  sharedIndexByte,
  sharedLockByte,
} from '../../../protocols/sqlite/lock-table.ts';
import { parseWalIndex } from '../../../protocols/sqlite/wal-index.ts';
import { HolderClient } from '../holder-client.ts';
import type { Fingerprinted, HeldState, Opened } from '../messages.ts';
import { sqliteUri } from '../sqlite-uri.ts';
import type { ExactFarHolder, ExactFarState, FarOpen } from './lock-holder.ts';

const program = new URL('./holder.py', import.meta.url);
/** Reads as many bytes of program as it is told, and leaves the rest of stdin to it. */
const loader = 'import sys; exec(compile(sys.stdin.buffer.read(int(sys.argv[1])), "holder.py", "exec"))';

interface FarHeldState extends HeldState {
  /** This process's lines of the kernel's table of locks; `null` where there is none. Absent without WAL. */
  readonly locks?: string | null;
  /** Whether the path leads to the file that is held. */
  readonly leadsHere?: boolean;
}

export async function startPython(host: Host, signal?: AbortSignal): Promise<HolderClient> {
  const source = await readFile(program);
  const process = await host.run({ argv: ['python3', '-I', '-c', loader, String(source.byteLength)], signal });
  try {
    await process.write(source);
  } catch (error) {
    // it ended before it had read its program: its exit says more, which the client waits for
    if (signal?.aborted) throw error;
  }
  return new HolderClient(process, signal);
}

/** Starts it and opens the database. Errors: `host.command-missing`, `host.command-failed`, `SqliteRefusal`. */
export async function openWithPython(host: Host, open: FarOpen, signal?: AbortSignal): Promise<ExactFarHolder> {
  const client = await startPython(host, signal);
  try {
    const uri = sqliteUri(open.path, open.mode);
    const question = { ask: 'open', path: raw(open.path), uri, busyMs: open.busyMs };
    return pythonHolder(client, open.path, (await client.request(question)) as Opened);
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

function pythonHolder(client: HolderClient, path: string, opened: Opened): ExactFarHolder {
  return {
    libraryVersion: opened.libraryVersion,
    journalMode: opened.journalMode,
    get ended() {
      return client.ended;
    },
    hold: async () => heldState(path, opened.pid, (await client.request({ ask: 'hold' })) as FarHeldState),
    unhold: async () => {
      await client.request({ ask: 'unhold' });
    },
    release: async () => {
      const question = { ask: 'release', ownUri: sqliteUri(path, 'own') };
      requireSameFile(path, ((await client.request(question)) as { leadsHere: boolean }).leadsHere);
    },
    fingerprint: async (level) => {
      const question = { ask: 'fingerprint', level };
      return (await client.request(question)) as Fingerprinted;
    },
    freeBytes: async () => {
      const question = { ask: 'space', path: raw(dirname(path)) };
      return ((await client.request(question)) as { freeBytes: number }).freeBytes;
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** Whether another connection has the database open with a lock, see `isInUse` of `../holder.ts`. */
export async function isLockedThere(host: Host, path: string, signal?: AbortSignal): Promise<boolean> {
  await using client = await startPython(host, signal);
  const question = { ask: 'in-use', path: raw(path), uri: sqliteUri(path, 'own') };
  return ((await client.request(question)) as { inUse: boolean }).inUse;
}

function heldState(path: string, pid: number, state: FarHeldState): ExactFarState {
  const { journalMode, pageBytes, pageCount, walIndex, locks, leadsHere } = state;
  if (walIndex === undefined) return { journalMode, pageBytes, pageCount };
  const index = parseWalIndex(Buffer.from(walIndex, 'base64'));
  if (index === undefined) throw notHeld(path);
  requireSameFile(path, leadsHere ?? true);
  if (typeof locks === 'string') proveLocked(path, pid, locks, index.backfilled >= index.lastFrame);
  return { journalMode, pageBytes, pageCount, walIndex: index };
}

/** The kernel must list the locks that SQLite believes in. Where it lists none at all, SQLite is believed. */
function proveLocked(path: string, pid: number, table: string, wholeInMain: boolean): void {
  const locks = parseLockTable(table);
  const mark = heldReadMark(locks, pid);
  const shared = [sharedLockByte, sharedIndexByte].every((byte) => holdsByte(locks, pid, byte));
  // read mark 0 promises a main file that stands still, and nothing about the log
  if (mark === undefined || !shared || (mark === 0 && !wholeInMain)) throw notHeld(path);
}

function requireSameFile(path: string, leadsHere: boolean): void {
  if (leadsHere) return;
  throw new HoldfastError({
    code: 'source.changed',
    message: `the database ${path} was replaced by another file while it was read`,
    remedy: 'Run it again.',
    retry: 'now',
  });
}

function notHeld(path: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `no read lock can be held on ${path}: its directory is read-only and no program has it open, or its file system keeps no locks`,
    remedy:
      'Let the account on the host write to the directory of the database, or back up while its program runs. Network file systems cannot hold a WAL database.',
  });
}

function raw(path: string): string {
  return encodeName(path).toString('base64');
}
