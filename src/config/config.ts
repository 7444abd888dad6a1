/** A configuration that was checked: every name in it means something, every path is absolute. */
import type { HostLimits } from '../hosts/limited.ts';
import type { Assertion } from '../model/assertion.ts';
import type { Retention } from '../model/policy.ts';
import type { WindowPlan } from '../model/window.ts';
import type { StorageLimits } from '../storage/limited.ts';
import type { Problem } from './problems.ts';
import type { SecretReference } from './secret-reference.ts';

export interface Config {
  /** Absolute path of the file. */
  readonly file: string;
  /** What the file held when it was read; absent where nothing was read. */
  readonly bytes?: Uint8Array;
  readonly repositories: ReadonlyMap<string, RepositoryEntry>;
  readonly hosts: ReadonlyMap<string, HostEntry>;
  readonly policies: ReadonlyMap<string, PolicyEntry>;
  readonly sources: ReadonlyMap<string, SourceEntry>;
  /** Nothing that stops the work, but something a person should know. */
  readonly warnings: readonly Problem[];
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
}

export interface DrillPlan {
  readonly schedule?: string;
  readonly snapshot: 'latest' | 'random';
}

export interface PolicyEntry {
  readonly name: string;
  readonly schedule?: string;
  readonly timezone?: string;
  readonly jitterMs?: number;
  readonly placements: readonly Placement[];
  readonly drill?: DrillPlan;
}

export interface SourceEntry {
  readonly name: string;
  readonly driver: string;
  /** `local` is this machine. */
  readonly host: string;
  readonly policy?: string;
  /** Where it is stored: its own `repository`, else its policy's repositories. At least one. */
  readonly placements: readonly Placement[];
  /** As the driver's schema gave them. */
  readonly settings: unknown;
  readonly window?: WindowPlan;
  /** What its drills ask of a restored copy. */
  readonly assertions: readonly Assertion[];
}

export const localHost = 'local';
