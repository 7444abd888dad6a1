/**
 * Replacing all index files by new ones. The new ones are stored and read back first; then those they replace are removed.
 * Killed in between, both are there, which is harmless: they say the same of every pack that both name. Memory: one index
 * file's entries.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { type IndexedPack, saveIndexFile } from '../blob-index/index-files.ts';
import { decodeIndexFile } from '../format/index-file.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import type { PackTable } from '../inventory/pack-table.ts';
import type { Repository } from '../repository.ts';
import { deleteUnpacked, listUnpacked, loadUnpacked } from '../sealing/unpacked.ts';

/** Blobs named in one index file, at most (a pack is never split). */
export const blobsPerFile = 50_000;

const deletesAtOnce = 4;

/** Writes index files over the packs; returns their ids. */
export async function writeIndexFiles(
  repository: Repository,
  packs: Iterable<IndexedPack>,
  signal?: AbortSignal,
): Promise<string[]> {
  const ids: string[] = [];
  let file: IndexedPack[] = [];
  let blobs = 0;
  const write = async (): Promise<void> => {
    throwIfCancelled(signal);
    if (file.length > 0) ids.push(await saveIndexFile(repository, file));
    file = [];
    blobs = 0;
  };
  for (const pack of packs) {
    if (blobs + pack.entries.length > blobsPerFile) await write();
    file.push(pack);
    blobs += pack.entries.length;
  }
  await write();
  return ids;
}

/** The packs of an index as an index file names them. */
export function* packsOf(index: BlobIndex, table: PackTable, without: ReadonlySet<string>): Generator<IndexedPack> {
  for (const [number, id] of index.packs.entries()) if (!without.has(id)) yield { id, entries: table.entries(number) };
}

export function* concat<T>(...parts: readonly Iterable<T>[]): Generator<T> {
  for (const part of parts) yield* part;
}

/** Reads the files back from the storage: throws unless they lead to every needed entry of `index`, and to no pack that will be removed. */
export async function verifyIndexFiles(
  repository: Repository,
  files: readonly string[],
  expected: { index: BlobIndex; needed: EntrySet; removed: ReadonlySet<string> },
  signal?: AbortSignal,
): Promise<void> {
  const { index, needed, removed } = expected;
  const found = new EntrySet(index.size);
  for (const file of files) {
    decodeIndexFile(await loadUnpacked(repository, 'index', file, signal), (pack, entries) => {
      if (removed.has(pack)) throw unverified(`it names pack ${pack}, which is to be removed`);
      for (const { type, id } of entries) {
        const entry = index.find(type, id);
        if (entry >= 0 && needed.has(entry)) found.add(entry);
      }
    });
  }
  if (found.size !== needed.size) throw unverified(`it leads to ${found.size} of ${needed.size} blobs that are needed`);
}

/**
 * The index files that new ones replace: those of `known`, and those that name nothing but packs of `fresh`, written while
 * it was worked. Any other was put there in spite of the lock, and stays.
 */
export async function replaceableIndexFiles(
  repository: Repository,
  { known, fresh }: { readonly known: ReadonlySet<string>; readonly fresh: BlobIndex },
  signal?: AbortSignal,
): Promise<string[]> {
  const files: string[] = [];
  for await (const { id } of listUnpacked(repository, 'index', signal)) {
    if (known.has(id) || (await namesOnly(repository, id, fresh, signal))) files.push(id);
  }
  return files;
}

async function namesOnly(
  repository: Repository,
  file: string,
  index: BlobIndex,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let only = true;
  decodeIndexFile(await loadUnpacked(repository, 'index', file, signal), (pack) => {
    only &&= index.hasPack(pack);
  });
  return only;
}

export async function removeIndexFiles(
  repository: Repository,
  files: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await forEachConcurrent(files, deletesAtOnce, (file) => deleteUnpacked(repository, 'index', file), signal);
}

function unverified(what: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.self-check',
    message: `the new index does not read back as it should: ${what}`,
    remedy: 'Nothing was removed. Test this machine’s memory and the storage, then run it again.',
  });
}
