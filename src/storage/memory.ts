/** A storage in memory: for tests of what lies above a storage, and for trials. Nothing survives the process. */
import { HoldfastError, throwIfCancelled } from '../base/errors.ts';
import { checkObjectName } from './object-name.ts';
import type { Storage } from './storage.ts';

/** The objects of a place; give the same map to several storages to have several handles on one place. */
export type MemoryPlace = Map<string, Uint8Array>;

/** Keeps a copy of every body, and gives copies out. Memory: all objects. */
export function memoryStorage(place: MemoryPlace = new Map(), location = 'memory:'): Storage {
  const slice = (name: string, offset: number, length: number | undefined): Uint8Array => {
    checkObjectName(name);
    const stored = place.get(name);
    if (!stored) throw missing(name, location);
    const end = offset + (length ?? stored.byteLength - offset);
    if (offset < 0 || end > stored.byteLength) throw pastEnd(name, location, end, stored.byteLength);
    return stored.subarray(offset, end);
  };
  return {
    location,
    put: async (name, parts, { mustNotExist = false, signal } = {}) => {
      checkObjectName(name);
      throwIfCancelled(signal);
      if (mustNotExist && place.has(name)) throw exists(name, location);
      place.set(name, joined(parts));
    },
    get: async (name, range, signal) => {
      throwIfCancelled(signal);
      // Not slice(): of a Buffer that would be a view.
      return new Uint8Array(slice(name, range?.offset ?? 0, range?.length));
    },
    getInto: async (name, offset, into, signal) => {
      throwIfCancelled(signal);
      into.set(slice(name, offset, into.byteLength));
    },
    stat: async (name, signal) => {
      checkObjectName(name);
      throwIfCancelled(signal);
      const stored = place.get(name);
      return stored && { name, sizeBytes: stored.byteLength };
    },
    async *list(folder, signal) {
      checkObjectName(folder);
      for (const [name, stored] of place) {
        throwIfCancelled(signal);
        if (name.startsWith(`${folder}/`)) yield { name, sizeBytes: stored.byteLength };
      }
    },
    delete: async (name, signal) => {
      checkObjectName(name);
      throwIfCancelled(signal);
      place.delete(name);
    },
    close: async () => {},
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.byteLength;
  }
  return body;
}

function missing(name: string, location: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `there is no object ${name} at ${location}`,
    remedy: 'Check the name; a storage in memory is empty when the process starts.',
  });
}

function exists(name: string, location: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.exists',
    message: `the object ${name} exists at ${location} already`,
    remedy: 'Use another name, or delete the object first.',
  });
}

function pastEnd(name: string, location: string, end: number, sizeBytes: number): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `the object ${name} at ${location} ends at byte ${sizeBytes}; bytes up to ${end} were asked for`,
    remedy: 'Run a check of the repository: the object is shorter than its index says.',
    context: { name, sizeBytes, end },
  });
}
