/** What a conformance case is, and how it says that a promise was broken. */
import { view } from '../../base/bytes.ts';
import { type ErrorCode, HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { Storage } from '../storage.ts';

export interface CaseContext {
  /** A fresh handle on the place under test; the runner closes it. */
  open(): Promise<Storage>;
  /** A folder of the case's own, without trailing slash; the runner empties it afterwards. */
  readonly folder: string;
}

export interface StorageCase {
  readonly id: string;
  /** The promise, as a sentence. */
  readonly why: string;
  /** Throws if the storage does not keep it. */
  run(ctx: CaseContext): Promise<void>;
}

export function broken(message: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the storage breaks a promise: ${message}`,
    remedy: 'Do not keep backups there: see docs/storage.md for what a storage must do, and for mounts that do not.',
    cause,
  });
}

export function expect(kept: boolean, message: string): void {
  if (!kept) throw broken(message);
}

export function expectBytes(found: Uint8Array, expected: Uint8Array, what: string): void {
  expect(found.byteLength === expected.byteLength, `${what} has ${found.byteLength} bytes, not ${expected.byteLength}`);
  expect(Buffer.compare(view(found), view(expected)) === 0, `${what} has other bytes than were stored`);
}

/** The call must fail with one of the codes. */
export async function expectError(call: Promise<unknown>, what: string, ...codes: ErrorCode[]): Promise<void> {
  const outcome = await call.then(
    () => 'success',
    (error: unknown) => ({ error }),
  );
  if (typeof outcome === 'string') throw broken(`${what} succeeds, where it must fail with ${codes.join(' or ')}`);
  if (hasCode(outcome.error, ...codes)) return;
  const found = outcome.error instanceof HoldfastError ? outcome.error.code : messageOf(outcome.error);
  throw broken(`${what} fails with «${found}», not with ${codes.join(' or ')}`, outcome.error);
}

/** Names and sizes below a folder; a name listed twice is a broken promise. */
export async function listed(storage: Storage, folder: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const object of storage.list(folder)) {
    expect(!found.has(object.name), `${object.name} is listed twice`);
    found.set(object.name, object.sizeBytes);
  }
  return found;
}

/** Lets everything else go on: loops that wait for another call must not starve storages that answer at once. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Bytes that look random, differ by seed and are cheap to make. */
export function body(sizeBytes: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const words = new Uint32Array(bytes.buffer, 0, sizeBytes >>> 2);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  for (let at = words.length * 4; at < sizeBytes; at++) bytes[at] = seed + at;
  return bytes;
}
