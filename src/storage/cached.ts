/**
 * Keeps copies of index and snapshot files in a local folder, so that opening a repository across a network does not read
 * its whole index again. Such a file never changes and is named by the SHA-256 of its bytes: a copy is believed only if it
 * has that hash. What lies here is sealed as it is in the storage. The folder may be deleted at any time; nothing depends on
 * it, and a cache that cannot be read or written only costs time.
 *
 * Bound: files that a listing of the storage no longer has are removed; beyond `mostBytes` no more are added.
 */
import { hash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Storage, StoredObject } from './storage.ts';

const cachedFolders = ['index', 'snapshots'] as const;
const cachedName = /^(index|snapshots)\/([0-9a-f]{64})$/;
/** A name nobody else writes to at the same time. */
let temporaryNumber = 0;

export interface CacheOptions {
  /** A folder for this one repository; made when it is first needed, for its owner only. */
  readonly folder: string;
  readonly mostBytes: number;
}

/** `inner` with a cache before it. Puts are not cached: what is read back after a put comes from the storage. */
export function cachedStorage(inner: Storage, options: CacheOptions): Storage {
  const cache = new FileCache(options);
  return {
    location: inner.location,
    parallelPuts: inner.parallelPuts,
    history: inner.history,
    retention: inner.retention,
    put: (name, parts, putOptions) => inner.put(name, parts, putOptions),
    async get(name, range, signal) {
      if (range !== undefined || !cachedName.test(name)) return await inner.get(name, range, signal);
      const known = await cache.read(name);
      if (known) return known;
      const bytes = await inner.get(name, undefined, signal);
      await cache.write(name, bytes);
      return bytes;
    },
    getInto: (name, offset, into, signal) => inner.getInto(name, offset, into, signal),
    stat: (name, signal) => inner.stat(name, signal),
    list: (folder, signal) => (isCached(folder) ? listed(inner, cache, folder, signal) : inner.list(folder, signal)),
    async delete(name, signal) {
      await inner.delete(name, signal);
      if (cachedName.test(name)) await cache.remove(name);
    },
    close: () => inner.close(),
  };
}

function isCached(folder: string): boolean {
  return cachedFolders.some((one) => one === folder);
}

/** Whoever reads a listing to its end learns what is gone. */
async function* listed(
  inner: Storage,
  cache: FileCache,
  folder: string,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredObject> {
  const there = new Set<string>();
  for await (const object of inner.list(folder, signal)) {
    there.add(object.name);
    yield object;
  }
  await cache.keepOnly(folder, there);
}

/** Every fault of the local folder counts as «not there»: the storage has it all. */
class FileCache {
  readonly #options: CacheOptions;
  #bytes: Promise<number> | undefined;

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const path = join(this.#options.folder, name);
    const bytes = await readFile(path).catch(() => undefined);
    if (!bytes || isWhole(name, bytes)) return bytes;
    await rm(path, { force: true }).catch(() => undefined);
    return undefined;
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const { folder, mostBytes } = this.#options;
    this.#bytes ??= bytesIn(folder);
    const held = (await this.#bytes) + bytes.byteLength;
    if (held > mostBytes || !isWhole(name, bytes)) return;
    this.#bytes = Promise.resolve(held);
    const path = join(folder, name);
    const temporary = `${path}.${process.pid}-${temporaryNumber++}`;
    try {
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
      await writeFile(temporary, bytes, { mode: 0o600 });
      await rename(temporary, path);
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#options.folder, name), { force: true }).catch(() => undefined);
  }

  /** Also removes what a killed process left half written. */
  async keepOnly(folder: string, names: ReadonlySet<string>): Promise<void> {
    const held = await readdir(join(this.#options.folder, folder)).catch(() => []);
    for (const one of held) if (!names.has(`${folder}/${one}`)) await this.remove(`${folder}/${one}`);
    if (held.length > 0) this.#bytes = undefined;
  }
}

function isWhole(name: string, bytes: Uint8Array): boolean {
  return hash('sha256', bytes) === cachedName.exec(name)?.[2];
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const one of cachedFolders) {
    for (const name of await readdir(join(folder, one)).catch(() => [])) {
      const found = await stat(join(folder, one, name)).catch(() => undefined);
      bytes += found?.size ?? 0;
    }
  }
  return bytes;
}
