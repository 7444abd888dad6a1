/**
 * What a driver is: it knows one kind of source, and nothing of repositories, catalogues or runs. It gets a host, its own
 * typed settings, a signal and a reporter; it gives streams. An optional capability is an optional member.
 */
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import type { Address, ContainerEngine, FileReader, Host } from '../hosts/host.ts';
import type { Check, Fingerprint } from '../model/fingerprint.ts';
import type { Node, NodeAttributes } from '../model/node.ts';
import type { Report } from '../model/run.ts';

export interface SourceContext<Settings> {
  /** The source's name in the configuration. */
  readonly name: string;
  readonly settings: Settings;
  readonly host: Host;
  /** This machine: client programs run here unless they have to run on `host`. */
  readonly local: Host;
  readonly secret: ReadSecret;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly report: Report;
}

/** Something `probe` found: reachable, version, prerequisites. `remedy` is set unless level is `ok`. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'error';
  readonly message: string;
  readonly remedy?: string;
}

/** How the engine cuts a file's content into blobs. `pages`: at fixed multiples of `pageBytes`, by heat; `content`: content-defined. */
export type ContentLayout = { readonly cut: 'content' } | { readonly cut: 'pages'; readonly pageBytes: number };

export interface FileEntry {
  readonly kind: 'file';
  readonly attributes: NodeAttributes;
  readonly layout: ContentLayout;
  /** True if equal attributes (size, mtime, ctime, inode) mean equal content, so that the parent snapshot's content may stand. */
  readonly trustAttributes: boolean;
  /** Called once, when the engine gets to it; entries of a directory are opened in the order given. `size` of the attributes is a hint: the stream decides. */
  open(): Promise<FileReader>;
  /** Fast path for small files, see `HostFiles.readWhole`. */
  readWhole?(into: Uint8Array): number;
  /**
   * Present if the snapshot may be made without this file: when it cannot be opened or read, the engine calls this with
   * the error (which reports and counts it), leaves the file out and goes on. Absent: the error ends the backup.
   */
  skip?(error: unknown): void;
}

export interface DirectoryEntry {
  readonly kind: 'dir';
  readonly attributes: NodeAttributes;
  /** Opened in this order, up to three streams at once; names are unique. What takes long to read comes before facts about it. */
  children(): Promise<Entry[]>;
}

/** Symlinks, devices, fifos, sockets: attributes are all there is. */
export interface SpecialEntry {
  readonly kind: 'special';
  readonly attributes: NodeAttributes;
}

export type Entry = FileEntry | DirectoryEntry | SpecialEntry;

/** A source held in one consistent state while its bytes are read. Disposing releases everything held (locks, processes), whatever happened. */
export interface Capture extends AsyncDisposable {
  /** The snapshot's `paths`: what a person would recognise as the source. */
  readonly paths: readonly string[];
  readonly excludes?: readonly string[];
  /** The root directory of the snapshot (its own attributes are not stored). */
  readonly root: DirectoryEntry;
  /** Expected bytes, if known, for the progress bar. */
  readonly bytesTotal?: number;
  /** Called when every stream was read to its end: checks that all of it was consistent (exit statuses, marks); throws otherwise, and then no snapshot appears. */
  complete(): Promise<void>;
  /** Things a person should know about this snapshot, gathered until `complete`: e.g. the writer pause that was needed. */
  notes(): readonly string[];
}

/** A snapshot as a driver sees it when it restores. Paths are absolute within the snapshot. */
export interface SnapshotContents {
  readonly id: string;
  readonly paths: readonly string[];
  node(path: string): Promise<Node | undefined>;
  /** The entries of a directory, `/` included, in tree order. `snapshot.path-missing`. */
  children(path: string): Promise<readonly Node[]>;
  /** The lengths in bytes of the blobs in `node.content`, in order. */
  contentLengths(node: Node): readonly number[];
  /** The bytes of one file in order; memory bound: a few blobs. */
  read(path: string): AsyncIterable<Uint8Array>;
  /** Everything below `path` (a directory's children, or the one file) written to `directory`, verified against the blob ids. */
  writeTree(path: string, directory: string, options?: WriteTreeOptions): Promise<WriteTreeResult>;
}

export interface WriteTreeOptions {
  /** Patterns, see docs: only what matches `include` (if given) and no `exclude`. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** What to do about a file that is there already: refuse (default), or make it equal, rewriting only what differs. */
  readonly existing?: 'refuse' | 'make-equal';
  /** The machine to write to; this one by default. */
  readonly host?: Host;
}

export interface WriteTreeResult {
  readonly files: number;
  readonly bytes: number;
  /** Metadata that could not be restored and similar, as sentences. Content that could not be restored throws. */
  readonly problems: readonly string[];
}

export interface RestoreRequest extends WriteTreeOptions {
  /** The machine the target is on. */
  readonly host: Host;
  /**
   * Where to, in the driver's own words (a directory for files, a file for sqlite, a database or the URL of one for a
   * database server). Absent: back to where it came from.
   */
  readonly target?: string;
  /** Settings of the place to restore to, when it was named by a source of the same driver; `target` is absent then. */
  readonly targetSource?: SourceContext<unknown>;
  /** Say what would be done, touch nothing. */
  readonly dryRun: boolean;
  /** Overwrite what is at the target without keeping it aside. */
  readonly overwrite: boolean;
}

export interface RestoreOutcome {
  /** What was (or would be) done, one sentence each. */
  readonly steps: readonly string[];
  readonly bytes: number;
  readonly files: number;
  readonly problems: readonly string[];
}

/** Where a drill restores to. */
export interface Throwaway {
  /** An empty private directory of this drill, removed afterwards. */
  readonly directory: string;
  /** The machine the directory is on: this one. */
  readonly host: Host;
  /** Present where a container engine can be reached. */
  readonly containers?: ContainerEngine;
}

/** A restored copy that works. Disposing stops what runs for it; the throwaway's directory is removed after that. */
export interface RestoredCopy extends AsyncDisposable {
  /** Bytes restored. */
  readonly bytes: number;
  /** What it runs in, for people: `PostgreSQL 17.2 from /usr/lib/postgresql/17/bin`. */
  readonly instance?: string;
  /** Compares with what the backup recorded. Every check stands for one fact; an empty list is a failed drill. */
  compare(expected: Fingerprint | undefined): Promise<Check[]>;
  /** Asks the copy in the source's own language (SQL, a Redis command) for a user's assertion: columns apart by tab, rows by newline. */
  query?(statement: string): Promise<string>;
  /** Where programs of a user's assertions find the copy, as environment variables (`HOLDFAST_COPY_DIRECTORY`, `PGHOST`, …). */
  readonly environment: Readonly<Record<string, string>>;
  /** Programs of this machine do not reach the copy, as one in a container: what they would find instead is not the copy. */
  readonly isApart?: boolean;
  /** Client programs that read no environment: unless they are told where the copy is, they ask whatever runs on this machine. */
  readonly clients?: readonly string[];
}

/** One thing a person does with the files that restic restored. */
export interface NativeStep {
  readonly text: string;
  /** For `sh`, run in the directory that restic restored to. Without secrets. */
  readonly command?: string;
}

/** Servers that can be seen on a machine without asking them. */
export type ServerKind = 'PostgreSQL' | 'MySQL or MariaDB' | 'MongoDB' | 'Redis';

/** What a source means, in words that fit what can be seen on its machine: for the report of what is not covered. */
export interface Extent {
  /** Absolute paths that are stored with all below them, unless `leavesOut` says otherwise. */
  readonly paths?: readonly string[];
  readonly leavesOut?: (path: string) => boolean;
  /** The paths are databases that are copied consistently while they are written to, not files among others. */
  readonly consistent?: boolean;
  /** The server that is asked, as its host sees it. */
  readonly server?: { readonly kind: ServerKind; readonly addresses: readonly Address[] };
}

/** What a runbook says of one source beside the steps that all have in common. Every command is typed as it is. */
export interface RunbookWords {
  /** A restore to another place, which touches nothing: what `--to` takes, as a word of a shell, and how to look at the result. */
  readonly beside?: { readonly to: string; readonly look: readonly NativeStep[] };
  /** What to do or know before it is put back in its place. */
  readonly before: readonly NativeStep[];
  /** How to look at it once it is there. */
  readonly look: readonly NativeStep[];
}

export interface Driver<Settings = unknown> {
  /** The word in `driver:`. */
  readonly name: string;
  readonly title: string;
  /** Settings beside `driver`, `host`, `policy`; every field has `.describe()`. */
  readonly settings: z.ZodType<Settings>;
  /** `path`: a restore's target is a path on this machine, and made absolute; `words`: it reaches the driver as it was written. */
  readonly target: 'path' | 'words';
  probe(source: SourceContext<Settings>): Promise<Finding[]>;
  /** Brings the source into a state that stays consistent until the capture is disposed. */
  capture(source: SourceContext<Settings>): Promise<Capture>;
  restore(
    source: SourceContext<Settings>,
    contents: SnapshotContents,
    request: RestoreRequest,
  ): Promise<RestoreOutcome>;
  /** Restores into the throwaway, up to a copy that answers: the time this takes counts as recovery time. Leaves nothing running if it throws. */
  restoreThrowaway(
    source: SourceContext<Settings>,
    contents: SnapshotContents,
    throwaway: Throwaway,
  ): Promise<RestoredCopy>;
  /** How what restic restores becomes the running thing again, with native programs alone: for runbooks and recovery kits. Reads facts, never data. */
  nativeSteps(contents: SnapshotContents): Promise<NativeStep[]>;
  /** What to say of a restore of this snapshot. `place` is a word of a shell: a path on this machine that does not exist yet. */
  runbook?(settings: Settings, contents: SnapshotContents, place: string): Promise<RunbookWords>;
  /** Where what it protects is seen. Reads settings alone. */
  extent?(settings: Settings): Promise<Extent>;
  /** Names of what is there and is not stored because of the settings: the other databases of a server. Asks the source. */
  leftOut?(source: SourceContext<Settings>): Promise<readonly string[]>;
}

/** Any driver, for registries: settings are opaque outside the driver. */
// biome-ignore lint/suspicious/noExplicitAny: a registry holds drivers of different settings; each parses its own with its schema
export type AnyDriver = Driver<any>;
