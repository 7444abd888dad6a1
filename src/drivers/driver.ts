/**
 * What a driver is: it knows one kind of source, and nothing of repositories, catalogues or runs. It gets a host, its own
 * typed settings, a signal and a reporter; it gives streams. An optional capability is an optional member.
 */
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { FileReader, Host } from '../hosts/host.ts';
import type { Check, Fingerprint } from '../model/fingerprint.ts';
import type { Node, NodeAttributes } from '../model/node.ts';
import type { Report } from '../model/run.ts';

export interface SourceContext<Settings> {
  /** The source's name in the configuration. */
  readonly name: string;
  readonly settings: Settings;
  readonly host: Host;
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
  /** In the order in which trees keep them, see `compareNames`. */
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
  /** Everything below `path` (a directory's children, or the one file) written to `directory` on `host`'s machine, verified against the blob ids. */
  writeTree(path: string, directory: string, options?: WriteTreeOptions): Promise<WriteTreeResult>;
}

export interface WriteTreeOptions {
  /** Patterns, see docs: only what matches `include` (if given) and no `exclude`. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** What to do about a file that is there already: refuse (default), or make it equal, rewriting only what differs. */
  readonly existing?: 'refuse' | 'make-equal';
}

export interface WriteTreeResult {
  readonly files: number;
  readonly bytes: number;
  /** Metadata that could not be restored and similar, as sentences. Content that could not be restored throws. */
  readonly problems: readonly string[];
}

export interface RestoreRequest extends WriteTreeOptions {
  /** Where to, in the driver's own words (a directory for files, a file for sqlite). */
  readonly target: string;
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

/** A restored copy in a throwaway place. */
export interface Throwaway {
  /** An empty private directory of this drill, removed afterwards. */
  readonly directory: string;
}

export interface Driver<Settings = unknown> {
  /** The word in `driver:`. */
  readonly name: string;
  readonly title: string;
  /** Settings beside `driver`, `host`, `policy`; every field has `.describe()`. */
  readonly settings: z.ZodType<Settings>;
  probe(source: SourceContext<Settings>): Promise<Finding[]>;
  /** Brings the source into a state that stays consistent until the capture is disposed. */
  capture(source: SourceContext<Settings>): Promise<Capture>;
  restore(
    source: SourceContext<Settings>,
    contents: SnapshotContents,
    request: RestoreRequest,
  ): Promise<RestoreOutcome>;
  /** Restores into the throwaway and says what a working copy is worth: time counts as recovery time. */
  restoreThrowaway(
    source: SourceContext<Settings>,
    contents: SnapshotContents,
    throwaway: Throwaway,
  ): Promise<{ readonly bytes: number }>;
  /** Compares the throwaway with what the snapshot recorded. Every check stands for one fact; an empty list is a failed drill. */
  compareThrowaway(
    source: SourceContext<Settings>,
    contents: SnapshotContents,
    throwaway: Throwaway,
    expected: Fingerprint | undefined,
  ): Promise<Check[]>;
}

/** Any driver, for registries: settings are opaque outside the driver. */
// biome-ignore lint/suspicious/noExplicitAny: a registry holds drivers of different settings; each parses its own with its schema
export type AnyDriver = Driver<any>;
