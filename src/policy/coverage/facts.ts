/** What a report of coverage is judged from: what is declared, and what was seen on each machine. Plain facts, no effects. */

export type ServerKind = 'PostgreSQL' | 'MySQL or MariaDB' | 'MongoDB' | 'Redis';
export type Address = { readonly host: string; readonly port: number } | { readonly socketPath: string };

export interface DeclaredSource {
  readonly name: string;
  readonly driver: string;
  /** Its entry of `hosts:`, or `local`. */
  readonly host: string;
  /** The machine: `local`, or the address of the far one; what a container runs on, for one that is reached through an engine. */
  readonly machine: string;
  /** As its host entry names it, for a source in a container: name, id, or `project/service`. */
  readonly container?: string;
  readonly paths: readonly string[];
  readonly leavesOut: (path: string) => boolean;
  /** Its paths are databases copied as of one moment. */
  readonly isConsistent: boolean;
  /** Something is stopped while it is captured. */
  readonly isQuiet: boolean;
  readonly server?: { readonly kind: ServerKind; readonly addresses: readonly Address[] };
  readonly policy?: string;
  readonly isScheduled: boolean;
  readonly isDrilled: boolean;
  readonly copies: readonly DeclaredCopy[];
  /** Databases of its server that its settings leave out, as the server says. */
  readonly leftOut: readonly string[];
  /** Why that could not be asked. */
  readonly silence?: string;
}

export interface DeclaredCopy {
  readonly repository: string;
  /** Where it is stored: `local`, or the address of the storage. */
  readonly machine: string;
  /** Of the newest snapshot there, of its last drill that passed. Absent: none, or the repository does not answer. */
  readonly newestMs?: number;
  readonly provenMs?: number;
  /** False if the repository did not answer: nothing is known of what it holds. */
  readonly isKnown: boolean;
}

export interface DeclaredRepository {
  readonly name: string;
  readonly isChecked: boolean;
  readonly isPruned: boolean;
  /** Some source has rules of retention there. */
  readonly hasRetention: boolean;
  readonly isUsed: boolean;
}

/** What was seen on one machine. */
export interface SeenMachine {
  /** The entry of `hosts:` it was looked at through, or `local`. */
  readonly host: string;
  readonly machine: string;
  /** All names and addresses of the machine that are known. */
  readonly names: readonly string[];
  /** False if the time or a bound was reached before everything was seen. */
  readonly isComplete: boolean;
  readonly files: readonly { readonly path: string; readonly sizeBytes: number }[];
  readonly servers: readonly SeenServer[];
  readonly containers: readonly SeenContainer[];
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
}

export interface SeenServer {
  readonly kind: ServerKind;
  /** Where it listens; empty if that could not be seen. */
  readonly ports: readonly number[];
  /** Its data, for one that does not run. */
  readonly directory?: string;
}

export interface SeenContainer {
  readonly id: string;
  readonly name: string;
  readonly service?: string;
  readonly image: string;
  readonly isRunning: boolean;
  readonly ports: readonly { readonly inside: number; readonly machine?: number }[];
  readonly addresses: readonly string[];
  readonly mounts: readonly { readonly volume?: string; readonly from: string; readonly inside: string }[];
}

/** A machine that could not be looked at. */
export interface SilentMachine {
  readonly host: string;
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export const gapKinds = {
  'database-uncovered': 'A database file that no source means.',
  'server-uncovered': 'A database server that no source asks.',
  'volume-uncovered': 'A volume of a container engine that no source means.',
  'database-left-out': 'A database of a declared server that the settings leave out.',
  'never-backed-up': 'A source of which no snapshot exists.',
  'database-as-file': 'A database that is copied as a plain file while it may be written to.',
  'not-scheduled': 'A source that nothing backs up by itself.',
  'not-drilled': 'A source whose restores nothing tries by itself.',
  'no-copy-elsewhere': 'A source that is stored on its own machine only.',
  'single-copy': 'A source that is stored in one repository only.',
  'not-checked': 'A repository that nothing checks by itself.',
  'not-pruned': 'A repository in which nothing frees space by itself.',
  'not-asked': 'A server that could not be asked for its databases.',
  'machine-silent': 'A machine that could not be looked at.',
  'look-incomplete': 'A machine that was not seen to the end in the time given.',
} as const satisfies Record<string, string>;
export type GapKind = keyof typeof gapKinds;

export interface Gap {
  readonly kind: GapKind;
  /** uncovered: it is lost when its disk is · weak: it is stored, and something about it can go wrong unseen · unknown: nobody could look. */
  readonly level: 'uncovered' | 'weak' | 'unknown';
  /** What it is about, in one line that stays the same from day to day: what `--ignore` matches. */
  readonly subject: string;
  readonly host?: string;
  readonly source?: string;
  readonly repository?: string;
  readonly message: string;
  readonly remedy: string;
  /** What to add to the configuration. */
  readonly yaml?: string;
}
