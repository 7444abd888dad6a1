/**
 * What is said to the process that holds SQLite's locks (`holder.ts`): one JSON object a line, an answer per question, in
 * order of the questions. When its input ends the process ends, and every lock with it.
 */
import type { Fact } from '../../model/fingerprint.ts';

/** How much a fingerprint says: nothing, rows of each table, or rows and every value. */
export type FingerprintLevel = 'off' | 'counts' | 'full';

/** `snapshot`: reads only, takes locks. `frozen`: a file nobody writes, no locks, no side files. `own`: a private copy, may be written. */
export type OpenMode = 'snapshot' | 'recover' | 'frozen' | 'own';

export type Question =
  | { readonly ask: 'open'; readonly path: string; readonly mode: OpenMode; readonly busyMs: number }
  | { readonly ask: 'hold' }
  | { readonly ask: 'unhold' }
  | { readonly ask: 'copy'; readonly to: string }
  | { readonly ask: 'fingerprint'; readonly level: FingerprintLevel }
  | { readonly ask: 'integrity' }
  | { readonly ask: 'query'; readonly statement: string }
  | { readonly ask: 'in-use'; readonly path: string }
  | { readonly ask: 'release' };

export interface Opened {
  readonly pid: number;
  readonly libraryVersion: string;
  readonly journalMode: string;
}

export interface HeldState {
  readonly journalMode: string;
  /** The head of the wal-index of exactly the state that is held, base64; absent without WAL. */
  readonly walIndex?: string;
  readonly pageBytes: number;
  readonly pageCount: number;
  readonly tries: number;
}

export interface CopiedState {
  readonly pageBytes: number;
  readonly sizeBytes: number;
}

export interface Fingerprinted {
  readonly facts: readonly Fact[];
  /** What could not be covered and why, one sentence each. */
  readonly gaps: readonly string[];
  readonly rows: number;
}

export interface Answers {
  readonly open: Opened;
  readonly hold: HeldState;
  readonly unhold: Record<string, never>;
  /** One state of the open database as a file that was empty; SQLite's backup. */
  readonly copy: CopiedState;
  readonly fingerprint: Fingerprinted;
  /** The lines of `PRAGMA integrity_check`: `ok` alone if nothing is wrong. */
  readonly integrity: { readonly lines: readonly string[] };
  /** A row a line, columns apart by tab; NULL is empty, a blob is hex. */
  readonly query: { readonly lines: readonly string[] };
  readonly 'in-use': { readonly inUse: boolean };
  readonly release: Record<string, never>;
}

export interface Failure {
  readonly message: string;
  /** SQLite's extended result code, if SQLite refused. */
  readonly sqlite?: number;
}

export type Reply = { readonly id: number } & ({ readonly ok: Answers[keyof Answers] } | { readonly failure: Failure });

/** Primary result codes of sqlite3.h; an extended code carries its primary in the low byte. */
export const sqliteCode = { busy: 5, locked: 6, readOnly: 8, corrupt: 11, cannotOpen: 14, notADatabase: 26 } as const;
/** A hot journal must be rolled back first, and this connection may not write. */
export const readOnlyRollback = 776;
