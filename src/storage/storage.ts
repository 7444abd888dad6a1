/**
 * Where a repository's bytes lie. A storage keeps small immutable objects under `/`-separated names made of
 * `[A-Za-z0-9._-]`, no part beginning with a dot (`object-name.ts`); it knows nothing of what they mean.
 *
 * What every implementation promises (checked by `storage/conformance/`, which `holdfast storage check` also runs):
 * - `put` is atomic and durable: when it resolves, the object survives power loss; before that it is invisible, and a put
 *   that failed or was killed leaves no object under that name (leftovers under other names are swept by later puts).
 * - Read after write, list after write, for every process.
 * - Calls may be made concurrently; the caller bounds how many.
 * - Errors are HoldfastErrors with a `storage.*` code; `retry` says whether trying again can help. Storages
 *   across a network have tried again themselves by then (`retry.ts`).
 */
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import type { ObjectHistory, ObjectRetention } from './object-retention.ts';
import type { ResticAccess } from './restic-access.ts';

export interface StoredObject {
  readonly name: string;
  readonly sizeBytes: number;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface PutOptions {
  /** Fail with `storage.exists` rather than replace. Without it an existing object is replaced atomically. */
  readonly mustNotExist?: boolean;
  /** It is removed again soon, as locks are: not held where objects are (`retention`), and whoever puts it looks for it himself. */
  readonly passing?: boolean;
  /** SHA-256 of the whole body in hex, where the caller has it: it saves taking it again. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
}

export interface Storage {
  /** As the operator wrote it, without secrets: for messages. */
  readonly location: string;

  /** Stores the concatenation of `parts`. Memory: no copy of the body is needed. The parts may lie in shared memory and are not changed by the caller until the promise settles. */
  put(name: string, parts: readonly Uint8Array[], options?: PutOptions): Promise<void>;

  /** The object's bytes, or the range's. `storage.not-found` if absent; a range past the end is `storage.io`, never short bytes. */
  get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array>;

  /** Like `get`, into memory the caller owns (`into.byteLength` bytes from `offset`): the fast path of readers. */
  getInto(name: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;

  /**
   * Present where many small objects are read in less time together than one by one. The bytes of each, in the order of the
   * names; `undefined` where `get` is to be asked: an object that is absent, large, or cannot be read. Memory: 32 KiB a name.
   */
  getTogether?(names: readonly string[], signal?: AbortSignal): Promise<readonly (Uint8Array | undefined)[]>;

  /** `undefined` if absent. */
  stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined>;

  /** Every object whose name starts with `folder/`, in no order; objects that come or go meanwhile may be in it or not. */
  list(folder: string, signal?: AbortSignal): AsyncIterable<StoredObject>;

  /** Removes an object; absent is fine. */
  delete(name: string, signal?: AbortSignal): Promise<void>;

  /**
   * Present where folders outlive what was in them: removes `folder` and those below it that are empty. Only for a folder
   * of one's own: nobody else may put into it meanwhile. Absent is fine.
   */
  removeFolders?(folder: string, signal?: AbortSignal): Promise<void>;

  /** Present where a place that is missing is listed as an empty one: `storage.not-found` if it is, as far as can be known. */
  requirePlace?(): Promise<void>;

  /** How many objects are best put at once, where that is more than two: each of them waits for a network. A pack's memory (16 MiB) is taken for each. */
  readonly parallelPuts?: number;

  /** Present where what was removed or replaced may still be there. */
  readonly history?: ObjectHistory;

  /** Present where the operator asked for objects to be held against removal. */
  readonly retention?: ObjectRetention;

  close(): Promise<void>;
}

/** One kind of storage: recognises its URLs and opens them. */
export interface StorageKind<Settings = unknown> {
  /** Also the key of its settings in a repository's entry: `s3: { region: auto }`. */
  readonly name: string;
  /** One line for docs and errors, e.g. `/path or file:///path`. */
  readonly urlForm: string;
  /** What may stand under its key; every field has `.describe()`, secrets are `secretSetting`s. Without: nothing may. */
  readonly settings?: z.ZodType<Settings>;
  recognises(url: string): boolean;
  /** Opens without touching the network where it can. */
  open(url: string, options: OpenOptions<Settings>): Promise<Storage>;
  /** How restic reaches the same repository, where the URL alone does not say it. */
  resticAccess?(url: string, settings: Settings): ResticAccess;
}

export interface OpenOptions<Settings> {
  /** Makes what a new repository needs: the directory, the bucket. */
  readonly create: boolean;
  /** As the schema gave them, also where the entry has none. */
  readonly settings: Settings;
  readonly tools: StorageTools;
}

export interface StorageTools {
  readonly clock: Clock;
  readonly secret: ReadSecret;
  /** Where credentials are looked for that the settings do not name, as other programs do (`AWS_ACCESS_KEY_ID`). */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends what is under way; a storage that is open afterwards only fails. */
  readonly signal: AbortSignal;
}

/** Any kind, for registries: settings are opaque outside the kind. */
// biome-ignore lint/suspicious/noExplicitAny: a registry holds kinds of different settings; each parses its own with its schema
export type AnyStorageKind = StorageKind<any>;
