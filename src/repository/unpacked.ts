/** Sealed JSON files: snapshots, indexes, locks, proofs. Named by the SHA-256 of what is stored. */
import { HoldfastError } from '../base/errors.ts';
import { decodeUnpacked, encodeUnpacked } from './format/unpacked.ts';
import { sha256Hex } from './ids.ts';
import { folderName, idInName, type UnpackedFolder, unpackedName } from './layout.ts';
import { readAgainIfDamaged } from './read-again.ts';
import type { Repository } from './repository.ts';

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
  return await readAgainIfDamaged(() => readUnpacked(repository, { name: unpackedName(folder, id), id }, signal));
}

async function readUnpacked(
  repository: Repository,
  { name, id }: { readonly name: string; readonly id: string },
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const sealed = await repository.storage.get(name, undefined, signal);
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
