/** A configuration that was checked: every name in it means something, every path is absolute. */
import type { HostLimits } from '../hosts/limited.ts';
import type { Assertion } from '../model/assertion.ts';
import type { Retention } from '../model/policy.ts';
import type { WindowPlan } from '../model/window.ts';
import type { StorageLimits } from '../storage/limited.ts';
import type { Origin } from './declared.ts';
import type { ChannelEntry, RestoreEntry, ServerConfig, UserEntry, WorkspaceEntry } from './platform-config.ts';
import type { Problem } from './problems.ts';
import type { SecretReference } from './secrets/secret-reference.ts';

export interface Config {
  /** Absolute path of the file. */
  readonly file: string;
  /** What the file held when it was read; absent where nothing was read. */
  readonly bytes?: Uint8Array;
  readonly repositories: ReadonlyMap<string, RepositoryEntry>;
  readonly hosts: ReadonlyMap<string, HostEntry>;
  readonly policies: ReadonlyMap<string, PolicyEntry>;
  readonly sources: ReadonlyMap<string, SourceEntry>;
  readonly restores: ReadonlyMap<string, RestoreEntry>;
  readonly notifications: ReadonlyMap<string, ChannelEntry>;
  /** `default` is always there. */
  readonly workspaces: ReadonlyMap<string, WorkspaceEntry>;
  readonly users: ReadonlyMap<string, UserEntry>;
  readonly server: ServerConfig;
  /** Nothing that stops the work, but something a person should know. */
  readonly warnings: readonly Problem[];
  /** Of entries that are not in the file, by `section/name`: where they are from. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** What is wrong with entries that are not in the file: they are not in use. */
  readonly leftOut: readonly Problem[];
}

export interface RepositoryEntry {
  readonly name: string;
  /** As a storage opens it; local paths are absolute. */
  readonly url: string;
  /** Of its storage, as the kind's schema gave them. */
  readonly settings?: unknown;
  readonly password: SecretReference;
  readonly keep?: Retention;
  /** It is not always there (a disk that is connected now and then): no fault until its newest snapshot is older than this. */
  readonly mayBeAwayMs?: number;
  readonly limits?: StorageLimits;
  readonly check?: CheckPlan;
  readonly prune?: PrunePlan;
  readonly workspace: string;
}

/** When space is freed. */
export interface PrunePlan {
  /** Cron. */
  readonly schedule?: string;
  /** It stops by itself after this long and goes on the next time. */
  readonly maxTimeMs?: number;
}

/** How a repository is checked in turn. */
export interface CheckPlan {
  /** Cron. */
  readonly schedule?: string;
  /** All stored data is to be read at least this often. */
  readonly readAllWithinMs?: number;
}

export interface HostEntry {
  readonly name: string;
  /** The name of its `HostKind`. */
  readonly kind: string;
  /** As the kind's schema gave them. */
  readonly settings: unknown;
  readonly limits?: HostLimits;
  /** Other entries it is reached through. */
  readonly references: readonly string[];
}

/** One of the places a source is stored in, and how long it stays there. */
export interface Placement {
  readonly repository: string;
  readonly keep?: Retention;
  /** When what is there is drilled: cron instead of the policy's times, or never by itself. Absent: as the policy says. */
  readonly drill?: { readonly schedule: string } | false;
}

export interface DrillPlan {
  readonly schedule?: string;
  /** Policies whose runs come first, as in `PolicyEntry.after`; its own name is allowed: after its own backups. */
  readonly after: readonly string[];
  readonly snapshot: 'latest' | 'random';
}

export interface PolicyEntry {
  readonly name: string;
  readonly schedule?: string;
  readonly timezone?: string;
  /** Instead of `schedule`. Counted from the epoch: `6h` is 00:00, 06:00, 12:00 and 18:00 UTC. */
  readonly everyMs?: number;
  readonly jitterMs?: number;
  /** Nothing is started outside of it; what is due waits. In its time zone. */
  readonly window?: DayHours;
  /**
   * Policies whose runs come first: what is due waits until the newest due ones of theirs have ended. Without a schedule of
   * its own it is due when they are.
   */
  readonly after: readonly string[];
  /** What was missed while nothing ran is done once, late; otherwise it is reported only. Default true. */
  readonly catchUp: boolean;
  /** A run that takes longer is stopped and failed. */
  readonly timeoutMs?: number;
  readonly retry?: RetryPlan;
  readonly placements: readonly Placement[];
  readonly drill?: DrillPlan;
  readonly workspace: string;
}

/** Minutes of the day: from `fromMinute` until before `toMinute`, over midnight if that is not later. */
export interface DayHours {
  readonly fromMinute: number;
  readonly toMinute: number;
  /** 0 = Sunday: days on which it begins. Absent: every day. */
  readonly days?: readonly number[];
}

export interface RetryPlan {
  /** Of one due run in all, the first included. */
  readonly attempts: number;
  /** Before the second; each further wait is twice as long. */
  readonly delayMs: number;
}

export interface SourceEntry {
  readonly name: string;
  readonly driver: string;
  /** `local` is this machine. */
  readonly host: string;
  readonly policy?: string;
  readonly workspace: string;
  /** Where it is stored: its own `repository`, else its policy's repositories. At least one. */
  readonly placements: readonly Placement[];
  /** As the driver's schema gave them. */
  readonly settings: unknown;
  readonly window?: WindowPlan;
  /** What its drills ask of a restored copy. */
  readonly assertions: readonly Assertion[];
}

export const localHost = 'local';
