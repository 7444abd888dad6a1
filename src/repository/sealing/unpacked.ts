/** Sealed JSON files: snapshots, indexes, locks, proofs. Named by the SHA-256 of what is stored. */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import { decodeUnpacked, encodeUnpacked } from '../format/unpacked.ts';
import { sha256Hex } from '../ids.ts';
import { folderName, idInName, type UnpackedFolder, unpackedName } from '../layout.ts';
import { readAgainIfDamaged } from '../reading/read-again.ts';
import type { Repository } from '../repository.ts';

/** Stores a file, opened again before it leaves; returns its id. `before` is told the id when nothing is stored yet. */
export async function saveUnpacked(
  repository: Repository,
  folder: UnpackedFolder,
  json: Uint8Array,
  before?: (id: string) => Promise<void>,
): Promise<string> {
  const sealed = repository.sealer.seal(encodeUnpacked(json, repository.config.version));
  const readBack = decodeUnpacked(repository.sealer.open(sealed));
  if (Buffer.compare(readBack, json) !== 0) {
    throw new HoldfastError({
      code: 'repository.self-check',
      message: `the self-check before storing a file in ${folder} failed`,
      remedy: 'Nothing wrong was stored. Test this machine’s memory and CPU, then run it again.',
    });
  }
  const id = sha256Hex(sealed);
  await before?.(id);
  await repository.storage.put(unpackedName(folder, id), [sealed], { passing: folder === 'locks', sha256: id });
  return id;
}

/** Reads a file and checks that its bytes are what its name says. */
export async function loadUnpacked(
  repository: Repository,
  folder: UnpackedFolder,
  id: string,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  return await load(repository, { name: unpackedName(folder, id), id }, signal);
}

/** Files read ahead of who uses them: 32 KiB each at most, twice. */
const togetherAtOnce = 128;
/** Fewer are not worth being read together. */
const leastTogether = 64;

interface Listed {
  readonly id: string;
  readonly name: string;
  /** As it is stored, if it was read already. */
  readonly sealed?: Uint8Array;
}

/**
 * Lists a folder and hands every file to `use`, `atOnce` at a time and in no order; `json` reads and checks it, with the
 * errors of `loadUnpacked`. Where the storage reads many small files together, so it is done.
 */
export async function forEachUnpacked(
  repository: Repository,
  folder: UnpackedFolder,
  use: (id: string, json: () => Promise<Uint8Array>) => Promise<void>,
  { atOnce, signal }: { readonly atOnce: number; readonly signal?: AbortSignal },
): Promise<void> {
  const files = repository.storage.getTogether
    ? readAhead(repository, folder, signal)
    : named(folder, listUnpacked(repository, folder, signal));
  await forEachConcurrent(files, atOnce, (file) => use(file.id, () => load(repository, file, signal)), signal);
}

async function* named(folder: UnpackedFolder, files: AsyncIterable<{ id: string }>): AsyncGenerator<Listed> {
  for await (const { id } of files) yield { id, name: unpackedName(folder, id) };
}

/** While one batch is used the next is being read. */
async function* readAhead(
  repository: Repository,
  folder: UnpackedFolder,
  signal: AbortSignal | undefined,
): AsyncGenerator<Listed> {
  let before: Promise<readonly Listed[]> | undefined;
  let batch: Listed[] = [];
  for await (const file of named(folder, listUnpacked(repository, folder, signal))) {
    if (batch.push(file) < togetherAtOnce) continue;
    const reading = readTogether(repository, batch, signal);
    reading.catch(() => {}); // told when it is waited for
    batch = [];
    if (before) yield* await before;
    before = reading;
  }
  if (before) yield* await before;
  yield* batch.length < leastTogether ? batch : await readTogether(repository, batch, signal);
}

async function readTogether(
  { storage }: Repository,
  files: readonly Listed[],
  signal: AbortSignal | undefined,
): Promise<readonly Listed[]> {
  const names = files.map((file) => file.name);
  const read = (await storage.getTogether?.(names, signal)) ?? [];
  return files.map((file, i) => ({ ...file, sealed: read[i] }));
}

async function load(repository: Repository, file: Listed, signal?: AbortSignal): Promise<Uint8Array> {
  let { sealed } = file;
  return await readAgainIfDamaged(async () => {
    const bytes = sealed ?? (await repository.storage.get(file.name, undefined, signal));
    sealed = undefined;
    return openUnpacked(repository, file, bytes);
  });
}

function openUnpacked(repository: Repository, { name, id }: Listed, sealed: Uint8Array): Uint8Array {
  if (sha256Hex(sealed) !== id) {
    throw new HoldfastError({
      code: 'repository.damaged',
      message: `${name} in ${repository.storage.location} does not have the content its name stands for`,
      remedy: name.startsWith('index/')
        ? 'Nothing is lost by that alone: holdfast repo repair index REPOSITORY writes the index anew from the packs.'
        : 'Run holdfast repo check to see what else is damaged, and restore this file from another copy if there is one.',
    });
  }
  return decodeUnpacked(repository.sealer.open(sealed));
}

export async function deleteUnpacked(repository: Repository, folder: UnpackedFolder, id: string): Promise<void> {
  await repository.storage.delete(unpackedName(folder, id));
}

/** Ids of a kind of file; anything in the folder that is not named like one is passed over. */
export async function* listUnpacked(
  repository: Repository,
  folder: UnpackedFolder,
  signal?: AbortSignal,
): AsyncIterable<{ id: string; sizeBytes: number }> {
  for await (const object of repository.storage.list(folderName(folder), signal)) {
    const id = idInName(object.name);
    if (id !== undefined) yield { id, sizeBytes: object.sizeBytes };
  }
}
