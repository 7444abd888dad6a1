/** Packs as stored: reading their headers. */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { decodePackHeader, type PackEntry } from '../format/pack-header.ts';
import { packName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { sealOverhead } from '../sealing/crypto.ts';
import { readAgainIfDamaged } from './read-again.ts';

/** Most headers fit in this many last bytes of a pack, so that one request is enough. */
const guessBytes = 16 << 10;

/** The blobs a pack says it holds. `repository.damaged` if its header is not sound. */
export async function readPackHeader(
  repository: Repository,
  id: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<PackEntry[]> {
  return await readAgainIfDamaged(() => readHeaderOnce(repository, id, sizeBytes, signal));
}

async function readHeaderOnce(
  repository: Repository,
  id: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<PackEntry[]> {
  if (sizeBytes < 4 + sealOverhead) throw unsound(id, 'it is too short');
  const name = packName(id);
  const guess = Math.min(sizeBytes, guessBytes);
  let tail = Buffer.from(await repository.storage.get(name, { offset: sizeBytes - guess, length: guess }, signal));
  const length = tail.readUInt32LE(tail.byteLength - 4);
  if (length < sealOverhead || length > sizeBytes - 4) throw unsound(id, 'its header has an impossible length');
  if (length + 4 > guess) {
    tail = Buffer.from(
      await repository.storage.get(name, { offset: sizeBytes - length - 4, length: length + 4 }, signal),
    );
  }
  let entries: PackEntry[];
  try {
    entries = decodePackHeader(
      repository.sealer.open(tail.subarray(tail.byteLength - 4 - length, tail.byteLength - 4)),
    );
  } catch (error) {
    throw unsound(id, `its header cannot be read: ${messageOf(error)}`);
  }
  const bodyBytes = entries.reduce((sum, entry) => sum + entry.length, 0);
  if (bodyBytes !== sizeBytes - 4 - length) throw unsound(id, 'its blobs do not fill it');
  return entries;
}

function unsound(id: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `pack ${id} is damaged: ${why}`,
    remedy: 'Run holdfast repo check to see what is affected.',
  });
}
