/**
 * How a source's machine is reached. Drivers see nothing of the far end but this, so one driver works locally, over SSH
 * and in a container. Paths are absolute and follow `base/names.ts`.
 */
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import type { NodeAttributes } from '../model/node.ts';

export interface Host {
  /** The name in the configuration, `local` for this machine. */
  readonly name: string;
  /** `local`, or the name of its `HostKind`. */
  readonly kind: string;
  /** What the machine calls itself: the snapshot's hostname. */
  readonly hostname: string;
  readonly files: HostFiles;
  /** What this host cannot do, a sentence each (e.g. no extended attributes): drivers hand them on as findings and notes. */
  readonly limits?: readonly string[];
  /** Starts a program. Never through a shell; secrets go through `env` or stdin, never argv. */
  run(command: HostCommand): Promise<HostProcess>;
  /** Opens a byte stream to what listens at `address`, as seen from the host: its `localhost` is the host itself. `host.unreachable`. */
  connect(address: Address, signal?: AbortSignal): Promise<Duplex>;
  /**
   * Opens a directory to restore into; it is made if it is missing. Nothing is ever written outside of it, nor through a
   * symbolic link that lies in it. `existing` says what happens to a file, link or device that stands where one is to be
   * written: `restore.target-exists`, or it is replaced in one step once the new one is complete. Directories stay.
   */
  openTarget(directory: string, existing: 'refuse' | 'replace'): Promise<RestoreTarget>;
  /**
   * Copies between two open files of this process in the kernel, from the present position of the one to that of the other,
   * and moves both on. Gives how many bytes, 0 at the end of the source. Of this machine alone, and where the system calls
   * are there.
   */
  readonly copyRange?: (from: number, to: number, length: number) => Promise<number>;
  close(): Promise<void>;
}

/** Where a program listens. `socketPath` is a Unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly socketPath: string };

/** A way to reach machines, chosen by its key in an entry of `hosts:`. */
export interface HostKind<Settings = unknown> {
  /** The key that chooses it: `ssh`, `docker`. */
  readonly name: string;
  readonly title: string;
  /** All of the entry, the choosing key included; every field has `.describe()`. */
  readonly settings: z.ZodType<Settings>;
  /** Keys whose value names another entry of `hosts:` (unless it holds `@`, `.` or `:`, and so is an address of its own). */
  readonly references?: readonly string[];
  /** Runs of its sources are performed by a program on the machine itself: it has to reach their repositories from there. */
  readonly performsThere?: true;
  /** Which machine it is, for the report of what is not covered. Absent, or nothing in it: one of its own. */
  place?(settings: Settings): HostPlace;
  /** Connects, or is ready to. `host.unreachable`, `secret.unavailable`. */
  open(name: string, settings: Settings, tools: HostTools): Promise<Host>;
}

export interface HostPlace {
  /** Of the machine: a name or an address of the network. */
  readonly address?: string;
  /** A container of the engine on this machine, or on the machine of the host `on`. */
  readonly container?: string;
  readonly on?: string;
}

export interface HostTools {
  readonly clock: Clock;
  readonly secret: ReadSecret;
  /** This machine. */
  readonly local: Host;
  /** Another entry of `hosts:`, opened; it is closed by who opened this one, later. */
  readonly through: (name: string) => Promise<Host>;
  readonly signal: AbortSignal;
}

/** Any kind, for registries: settings are opaque outside the kind. */
// biome-ignore lint/suspicious/noExplicitAny: a registry holds kinds of different settings; each parses its own with its schema
export type AnyHostKind = HostKind<any>;

/** Starts throwaway containers, where a container engine can be reached. */
export interface ContainerEngine {
  /** A name for people: `podman 4.3 at unix:///run/podman.sock`. */
  readonly title: string;
  /** Starts a container and removes it, with its volumes, when it is disposed. `host.command-missing` if there is no such image and it cannot be pulled. */
  start(container: ContainerRequest): Promise<ThrowawayContainer>;
  /** Removes throwaways of this machine whose owner died without disposing of them; their names. Safe at any time. */
  removeLeftovers(): Promise<readonly string[]>;
  /** The containers that are not ours: stopped and started around a backup. */
  readonly control: ContainerControl;
  /** What is there: containers, running or not, and named volumes. Throwaways are not among them. */
  look(): Promise<EngineContents>;
  /** What a container's environment says, by name, id or `compose-project/service`: it holds secrets. `host.unreachable`. */
  environment(container: string): Promise<ReadonlyMap<string, string>>;
  close(): Promise<void>;
}

export interface EngineContents {
  readonly containers: readonly SeenContainer[];
  readonly volumes: readonly SeenVolume[];
}

export interface SeenContainer {
  readonly id: string;
  readonly name: string;
  /** `compose-project/service`, where it is one. */
  readonly service?: string;
  readonly image: string;
  readonly isRunning: boolean;
  /** `machine` is absent for a port that is not published. */
  readonly ports: readonly { readonly inside: number; readonly machine?: number }[];
  /** Its own addresses in the engine's networks. */
  readonly addresses: readonly string[];
  readonly mounts: readonly SeenMount[];
  readonly labels: Readonly<Record<string, string>>;
}

/** `volume` is absent for a directory of the machine. */
export interface SeenMount {
  readonly volume?: string;
  readonly from: string;
  readonly inside: string;
}

export interface SeenVolume {
  readonly name: string;
  /** Its directory on the engine's machine. */
  readonly path: string;
}

/**
 * Stops and starts containers, for maintenance windows. A container is named by its name, its id, or as
 * `compose-project/service`. `host.unreachable` when there is no such container or the engine does not answer.
 */
export interface ContainerControl {
  /**
   * Asks it to stop and kills it after `timeoutMs`; returns when it does not run. Does nothing to one that does not run, and
   * refuses one that its engine would remove then: `host.command-failed`.
   */
  stop(name: string, timeoutMs: number): Promise<void>;
  /** Starts it; returns when it runs. Does nothing to one that runs. `host.command-failed` if it does not start. */
  start(name: string): Promise<void>;
  isRunning(name: string): Promise<boolean>;
}

export interface ContainerRequest {
  /** With its tag, e.g. `docker.io/library/postgres:17`. */
  readonly image: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly argv?: readonly string[];
  readonly signal: AbortSignal;
}

export interface ThrowawayContainer extends AsyncDisposable {
  /** Its inside: programs run in it, addresses are as it sees them. */
  readonly host: Host;
}

export interface HostCommand {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Aborting kills the program with everything it started. */
  readonly signal?: AbortSignal;
}

export interface HostProcess {
  /** Read it to its end, or leave the loop, or `kill`: `exit` waits for that. Throws `cancelled` when the signal was aborted, so that a cut stream is never taken for a whole one. */
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Writes to stdin, with back-pressure. */
  write(bytes: Uint8Array | string): Promise<void>;
  endInput(): Promise<void>;
  /** Settles when the process ended and its output was read; stderr's last 64 KiB come along. Never rejects for an exit status. */
  readonly exit: Promise<{ readonly status: number | null; readonly signal: string | null; readonly stderr: string }>;
  kill(): void;
}

/** Reads one file from start to end. */
export interface FileReader {
  /** Fills `into` from the current position (which may be short of it) and returns the count; 0 at the end. */
  read(into: Uint8Array): Promise<number>;
  /** If a hole of at least `minimum` bytes starts at the current position: skips it and returns its length; else 0. Absent where holes cannot be seen. */
  skipHole?(minimum: number): Promise<number>;
  /** Attributes of the open file now (fstat), to see whether it changed while it was read. */
  attributes(): Promise<NodeAttributes>;
  close(): Promise<void>;
}

export interface HostFiles {
  /** Attributes of the object itself, not of what a link points to; xattrs and ACLs included where the host can. `source.missing`, `source.unreadable`. */
  attributes(path: string): Promise<NodeAttributes>;
  /** Attributes of every entry of a directory, in any order; entries that vanish meanwhile are left out. Entries that cannot be examined are given to `unreadable`. */
  list(path: string, unreadable: (path: string, error: unknown) => void): Promise<NodeAttributes[]>;
  open(path: string): Promise<FileReader>;
  /** Fast path for small files: reads the whole file into `into` and returns its length, or -1 if it is longer than `into`. Present only where it beats `open`. */
  readWhole?(path: string, into: Uint8Array): number;
}

/**
 * What a restore writes to. Paths are absolute, at or below the directory that was opened. One object at a time per path;
 * different paths may be written concurrently. Disposing releases what is held and removes files that were not closed.
 */
export interface RestoreTarget extends AsyncDisposable {
  /** Makes the directory and what is missing above it; one that is there already is left as it is. */
  makeDirectory(path: string): Promise<void>;
  /** A new file of known `size`. Sparse where nothing, or nothing but zeros, is written. */
  createFile(path: string, size: number): Promise<FileWriter>;
  /** Opens a file that is there already to rewrite parts of it in place; it gets the size `size`. `undefined` if it is not a plain file with a single name: then it has to be replaced by `createFile`. */
  reviseFile(path: string, size: number): Promise<FileWriter | undefined>;
  /** Fast path: a whole small file in one go, with its attributes if `node` is given (as `applyAttributes` sets them). Await it; on this machine it is done on return. */
  writeWhole(
    path: string,
    content: Uint8Array,
    node?: NodeAttributes,
    problem?: (message: string) => void,
  ): Promise<void> | void;
  /** A second name for the file at `existing`, which was written before. */
  makeLink(path: string, existing: string): Promise<void>;
  /** Creates a symlink, device, fifo or socket place-holder. */
  makeSpecial(path: string, node: NodeAttributes): Promise<void>;
  /** Owner, mode, times, xattrs; for directories called after their children. Problems (e.g. not root) go to `problem`, each kind once, and do not throw. Await it. */
  applyAttributes(path: string, node: NodeAttributes, problem: (message: string) => void): Promise<void> | void;
  /** Returns when everything written is on the disk. */
  finish(): Promise<void>;
}

export interface FileWriter {
  writeAt(bytes: Uint8Array, position: number): Promise<void>;
  /** The file is complete: it appears under its name, if it replaces another. */
  close(): Promise<void>;
  /** The file will not be completed: it is removed (a revised file stays, half revised). */
  abandon(): Promise<void>;
}
