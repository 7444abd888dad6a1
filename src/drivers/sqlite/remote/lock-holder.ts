/** What holds SQLite's locks on another host: `python-holder.ts`, or the sqlite3 shell (`shell-holder.ts`). */
import type { WalIndex } from '../../../protocols/sqlite/wal-index.ts';
import type { Fingerprinted, FingerprintLevel } from '../messages.ts';

export interface FarState {
  readonly journalMode: string;
  readonly pageBytes: number;
  readonly pageCount: number;
}

/** A read transaction of which it is known exactly which commit it sees. */
export interface ExactFarState extends FarState {
  /** Absent in rollback mode. */
  readonly walIndex?: WalIndex;
}

/**
 * A process on the host with the database open. It ends, and with it every lock, when it is disposed, when the connection
 * to the host is lost, and when this program ends. SQLite's refusals are thrown as `SqliteRefusal`.
 */
export interface FarHolder extends AsyncDisposable {
  /** Set once the process has ended: whatever it held is no longer held. */
  readonly ended: Error | undefined;
  /** `3.40.1`. */
  readonly libraryVersion: string;
  readonly journalMode: string;
  hold(): Promise<FarState>;
  unhold(): Promise<void>;
  /** Closes the database. An answer proves that all was held until now. */
  release(): Promise<void>;
}

/** One that can also say which commit it holds, and read the rows of it. */
export interface ExactFarHolder extends FarHolder {
  hold(): Promise<ExactFarState>;
  fingerprint(level: FingerprintLevel): Promise<Fingerprinted>;
  /** Bytes that may still be written where the database lies. */
  freeBytes(): Promise<number>;
}

export interface FarOpen {
  readonly path: string;
  /** `snapshot`: never writes. `recover`: rolls a hot journal back. */
  readonly mode: 'snapshot' | 'recover';
  readonly busyMs: number;
}
