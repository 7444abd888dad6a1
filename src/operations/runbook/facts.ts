/** What a runbook of one source is made of. */
import type { NativeStep, RunbookWords } from '../../drivers/driver.ts';
import type { Fact } from '../../model/fingerprint.ts';
import type { ResticAccess } from '../../storage/restic-access.ts';

export interface RunbookFacts {
  readonly source: string;
  readonly driver: string;
  /** `PostgreSQL database (logical dump)`. */
  readonly driverTitle: string;
  /** As the snapshot says: the machine, and what on it. */
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly policy?: string;
  /** How often a backup comes, and how often a drill, in words. */
  readonly schedule?: string;
  readonly drillSchedule?: string;
  /** Backups stop these meanwhile; so does a restore by hand. */
  readonly stops: readonly string[];
  readonly made: string;
  readonly madeBy: string;
  readonly configFile: string;
  /** The places it can be restored from, in the order to try them; the first is the one the steps use. At least one. */
  readonly copies: readonly RunbookCopy[];
  /** Declared places that have nothing of it, or did not answer, and why. */
  readonly missing: readonly { readonly repository: string; readonly reason: string }[];
  readonly proof?: RunbookProof;
  readonly words: RunbookWords;
  /** With native programs. */
  readonly native: readonly NativeStep[];
  /** From the fingerprint in the snapshot, the ones a person can look at first. */
  readonly expected: readonly Fact[];
  readonly expectedTotal: number;
}

export interface RunbookCopy {
  readonly repository: string;
  /** Without secrets. */
  readonly url: string;
  /** Of the newest snapshot there. */
  readonly snapshot: string;
  readonly time: string;
  readonly snapshots: number;
  readonly bytes?: number;
  readonly files?: number;
  readonly access: ResticAccess;
  readonly password: PasswordPlace;
}

/** Where the password is kept. */
export interface PasswordPlace {
  readonly words: string;
  /** Gives it to restic, from where it is kept; absent where a person has to type it. */
  readonly shell?: string;
}

export interface RunbookProof {
  readonly time: string;
  readonly repository: string;
  readonly snapshot: string;
  readonly verdict: 'passed' | 'failed';
  readonly restoreMs: number;
  readonly compareMs: number;
  readonly restoredBytes: number;
  readonly checksTotal: number;
  readonly checksFailed: number;
  readonly error?: string;
}
