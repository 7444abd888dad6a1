/** Counts what goes through a storage: for tests that bound requests, and for figures. */
import type { Storage, StoredObject } from './storage.ts';

export type StorageOperation = 'put' | 'get' | 'getInto' | 'stat' | 'list' | 'delete';

export interface StorageCall {
  readonly operation: StorageOperation;
  readonly name: string;
  /** Bytes sent or received by a call that succeeded; 0 for `stat`, `list` and `delete`, and for one that failed. */
  readonly bytes: number;
  readonly failed: boolean;
}

export interface CountingStorage extends Storage {
  /** Ended calls in the order in which they ended; a listing ends when it was read to its end or left. */
  readonly calls: readonly StorageCall[];
  count(operation: StorageOperation): number;
  bytes(operation: StorageOperation): number;
}

/** Passes every call on to `inner`. Memory: grows with the calls. */
export function countingStorage(inner: Storage): CountingStorage {
  const calls: StorageCall[] = [];
  const counted = async <T>(
    operation: StorageOperation,
    name: string,
    call: () => Promise<T>,
    bytesOf: (value: T) => number,
  ): Promise<T> => {
    let bytes = 0;
    let failed = true;
    try {
      const value = await call();
      bytes = bytesOf(value);
      failed = false;
      return value;
    } finally {
      calls.push({ operation, name, bytes, failed });
    }
  };
  const none = (): number => 0;
  const of = (operation: StorageOperation): StorageCall[] => calls.filter((call) => call.operation === operation);
  return {
    location: inner.location,
    calls,
    count: (operation) => of(operation).length,
    bytes: (operation) => of(operation).reduce((sum, call) => sum + call.bytes, 0),
    put: (name, parts, options) =>
      counted(
        'put',
        name,
        () => inner.put(name, parts, options),
        () => sizeOf(parts),
      ),
    get: (name, range, signal) =>
      counted(
        'get',
        name,
        () => inner.get(name, range, signal),
        (got) => got.byteLength,
      ),
    getInto: (name, offset, into, signal) =>
      counted(
        'getInto',
        name,
        () => inner.getInto(name, offset, into, signal),
        () => into.byteLength,
      ),
    stat: (name, signal) => counted('stat', name, () => inner.stat(name, signal), none),
    list: (folder, signal) =>
      countedListing(inner.list(folder, signal), (failed) =>
        calls.push({ operation: 'list', name: folder, bytes: 0, failed }),
      ),
    delete: (name, signal) => counted('delete', name, () => inner.delete(name, signal), none),
    close: () => inner.close(),
  };
}

async function* countedListing(
  listing: AsyncIterable<StoredObject>,
  ended: (failed: boolean) => void,
): AsyncGenerator<StoredObject> {
  let failed = true;
  try {
    for await (const object of listing) {
      failed = false;
      yield object;
      failed = true;
    }
    failed = false;
  } finally {
    ended(failed);
  }
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}
