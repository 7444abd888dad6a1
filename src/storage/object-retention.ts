/** What storages can do that keep what was removed or replaced, and hold objects against everybody for a time (Object Lock). */

/** One state of an object, or that it was removed. */
export interface ObjectVersion {
  readonly name: string;
  readonly versionId: string;
  readonly sizeBytes: number;
  /** By the storage's clock. */
  readonly storedAtMs: number;
  /** What readers see now. */
  readonly isCurrent: boolean;
  /** From its time on the object counts as removed. */
  readonly isRemoval: boolean;
  /** The storage's mark of the content; equal ones are equal bytes. */
  readonly tag?: string;
}

export interface ObjectHistory {
  /** `storage.unprotected` unless what is removed or replaced is kept. One request. */
  requireVersions(signal?: AbortSignal): Promise<void>;

  /** Every version of every object below the place; those of one object follow one another, newest first. */
  versions(signal?: AbortSignal): AsyncIterable<ObjectVersion>;

  /** Makes an older version the current one, as a new version with the same bytes. */
  bringBack(version: ObjectVersion, signal?: AbortSignal): Promise<void>;

  /** Removes a version for good; false if it is still held, or these keys may not. */
  removeVersion(version: ObjectVersion, signal?: AbortSignal): Promise<boolean>;
}

export interface ObjectRetention {
  /** Nobody can shorten `compliance`; whoever has the right to bypass it can end `governance`. */
  readonly mode: 'compliance' | 'governance';
  /** How long an object is held from its being stored, or held again. */
  readonly days: number;

  /** `storage.unprotected` unless the place holds objects. One request, once. */
  requireReady(signal?: AbortSignal): Promise<void>;

  /** Until when the object is held; `undefined`: it is not, or it is not said. One request. */
  heldUntilMs(name: string, signal?: AbortSignal): Promise<number | undefined>;

  /** Holds the object for `days` from now. One request. */
  hold(name: string, signal?: AbortSignal): Promise<void>;
}
