/** The record of a drill: what was restored, how long it took, what was compared, and the verdict. */
import type { Check } from './fingerprint.ts';

export interface Proof {
  readonly format: 1;
  readonly source: string;
  readonly driver: string;
  /** Full id of the snapshot that was restored, and the moment of the state it holds. */
  readonly snapshot: string;
  readonly snapshotTime: string;
  readonly startedAtMs: number;
  /** Recovery time: from the first byte asked for to a usable copy. */
  readonly restoreMs: number;
  readonly compareMs: number;
  readonly restoredBytes: number;
  readonly verdict: 'passed' | 'failed';
  readonly checksTotal: number;
  readonly checksFailed: number;
  /** All failed checks up to a bound, and all passed ones up to a bound: enough to read, never unbounded. */
  readonly checks: readonly Check[];
  /** What went wrong when the restore itself failed. */
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string };
  readonly host: string;
  /** What the copy ran in, for people: `PostgreSQL 17.2 from /usr/lib/postgresql/17/bin`. Older proofs, and those of files, name none. */
  readonly instance?: string;
  readonly programVersion: string;
}

export interface StoredProof extends Proof {
  readonly id: string;
}
