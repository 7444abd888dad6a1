/** What a conformance case of a driver is, and what it works with. */
import { rm } from 'node:fs/promises';
import { type ErrorCode, HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { ContainerEngine } from '../../hosts/host.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { AnyDriver, RestoredCopy, SnapshotContents, SourceContext } from '../driver.ts';

export interface DriverCaseContext {
  readonly driver: AnyDriver;
  readonly source: SourceContext<unknown>;
  readonly bench: Bench;
  readonly containers?: ContainerEngine;
  /** Present where the source belongs to the suite and may be changed. */
  readonly trial?: Trial;
}

/** A repository of the suite's own. */
export interface Bench {
  /** Stores a snapshot; rejects as a backup does. */
  backUp(source: SourceContext<unknown>): Promise<StoredSource>;
  countSnapshots(): Promise<number>;
  /** An empty private directory on this machine, removed when the bench is. */
  directory(): Promise<string>;
}

export interface StoredSource {
  /** Bytes read, and bytes that were new to the repository. */
  readonly bytes: number;
  readonly addedBytes: number;
  readonly unreadable: readonly { readonly path: string }[];
  open(): Promise<AsyncDisposable & { readonly contents: SnapshotContents }>;
}

/** What only the owner of a test source can do. */
export interface Trial {
  /** Writers that keep every invariant at every commit; they stop when disposed, and reject then if one could not write. */
  disturb(): Promise<AsyncDisposable>;
  /** Changes one value in a restored copy. */
  damage(copy: RestoredCopy): Promise<void>;
  /** Settings that lead nowhere or are refused: a wrong password, a closed port. */
  readonly refused: readonly SourceContext<unknown>[];
  /** A place to restore to that holds nothing yet, and a source to read it by afterwards. */
  elsewhere(): Promise<{ readonly target: string; readonly source: SourceContext<unknown> }>;
  /** What a backup or drill that ended left behind (sessions, locks, slots, processes, files), a word each. */
  leftovers(): Promise<readonly string[]>;
}

export interface DriverCase {
  readonly id: string;
  /** The promise, as a sentence. */
  readonly why: string;
  /** `trial` needs a source that may be changed; `any` only reads. */
  readonly needs: 'any' | 'trial';
  /** Throws if the driver does not keep it. */
  run(ctx: DriverCaseContext): Promise<void>;
}

export function expect(kept: boolean, message: string): asserts kept {
  if (kept) return;
  throw new HoldfastError({
    code: 'internal',
    message: `the driver breaks a promise: ${message}`,
    remedy: 'Report it with the versions of the server and of Holdfast.',
  });
}

/** The error a call must end with; one of `codes`, if given. It has to say what to do. */
export async function expectError(call: () => Promise<unknown>, what: string, ...codes: ErrorCode[]): Promise<void> {
  try {
    await call();
  } catch (error) {
    expect(error instanceof HoldfastError, `${what} fails with «${messageOf(error)}», which has no remedy`);
    expect(codes.length === 0 || hasCode(error, ...codes), `${what} fails with ${error.code}: ${error.message}`);
    expect(error.remedy.length > 10, `${what} fails without a remedy: ${error.message}`);
    return;
  }
  expect(false, `${what} succeeds, where it must fail`);
}

/** Restores a snapshot into a throwaway and hands the copy over; nothing of it is left afterwards. */
export async function withCopy<T>(
  { driver, source, bench, containers }: DriverCaseContext,
  contents: SnapshotContents,
  task: (copy: RestoredCopy) => Promise<T>,
): Promise<T> {
  const directory = await bench.directory();
  try {
    await using copy = await driver.restoreThrowaway(source, contents, { directory, host: source.local, containers });
    return await task(copy);
  } finally {
    // Now, not at the end of the suite: it makes several copies, each as large as the source.
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** `undefined` if the snapshot holds none: the driver compares with the snapshot's own content. */
export async function fingerprintIn(contents: SnapshotContents, path: string): Promise<Fingerprint | undefined> {
  if (!(await contents.node(path))) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as Fingerprint;
}
