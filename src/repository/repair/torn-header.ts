/**
 * What the damaged header of a pack may still say. Nothing here is authenticated: these are hints where to look, and every
 * blob found by one is opened under its own seal and compared with its id before it is used.
 */
import { createDecipheriv } from 'node:crypto';
import { hasCode } from '../../base/errors.ts';
import { decodePackHeader, leastBlobBytes, type PackEntry } from '../format/pack-header.ts';
import type { Repository } from '../repository.ts';
import { sealOverhead } from '../sealing/crypto.ts';

const ivBytes = 16;
const lengthFieldBytes = 4;
/** The length field of a header is looked for up to here: some 1700 blobs. */
const mostSearchedBytes = 64 << 10;
const entryBytes = [37, 41] as const;

/** Entries of a pack whose header does not open. Empty if nothing can be made of it. */
export function guessEntries(repository: Repository, pack: Uint8Array): PackEntry[] {
  if (pack.byteLength < lengthFieldBytes + sealOverhead) return [];
  const end = pack.byteLength - lengthFieldBytes;
  const stated = Buffer.from(pack.buffer, pack.byteOffset, pack.byteLength).readUInt32LE(end);
  const start = end - stated;
  const guessed = stated >= sealOverhead && start >= 0 ? unauthenticated(repository, pack.subarray(start, end)) : [];
  return guessed.length > 0 ? aligned(guessed, start) : soundHeaderElsewhere(repository, pack, end);
}

/** The length field is wrong but the header is not: it opens when its true beginning is tried. */
function soundHeaderElsewhere(repository: Repository, pack: Uint8Array, end: number): PackEntry[] {
  for (const length of possibleLengths(Math.min(end, mostSearchedBytes))) {
    try {
      return decodePackHeader(repository.sealer.open(pack.subarray(end - length, end)), end - length);
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'repository.unsupported')) throw error;
    }
  }
  return [];
}

function possibleLengths(most: number): number[] {
  const lengths = new Set<number>();
  for (let plain = 0; plain * entryBytes[0] <= most; plain++) {
    for (let at = plain * entryBytes[0]; at + sealOverhead <= most; at += entryBytes[1]) {
      if (at > 0) lengths.add(at + sealOverhead);
    }
  }
  return [...lengths].sort((a, b) => a - b);
}

/** A flipped bit of a ciphertext is one flipped bit of its plaintext, and nothing else. */
function unauthenticated(repository: Repository, sealed: Uint8Array): PackEntry[] {
  const decipher = createDecipheriv('aes-256-ctr', repository.masterKey.encrypt, sealed.subarray(0, ivBytes));
  const header = decipher.update(sealed.subarray(ivBytes, sealed.byteLength - (sealOverhead - ivBytes)));
  try {
    return decodePackHeader(header);
  } catch (error) {
    if (!hasCode(error, 'repository.damaged', 'repository.unsupported')) throw error;
    return [];
  }
}

/** If a length has a flipped bit, everything behind it seems moved: every length that may be the one is tried. */
function aligned(entries: readonly PackEntry[], bodyBytes: number): PackEntry[] {
  const tooLong = entries.reduce((sum, entry) => sum + entry.length, 0) - bodyBytes;
  if (tooLong === 0) return [...entries];
  const guesses = [...entries];
  for (const [i, { length }] of entries.entries()) {
    const flipped = length ^ (length - tooLong);
    if (length - tooLong < leastBlobBytes || (flipped & (flipped - 1)) !== 0) continue;
    guesses.push({ ...entries[i], length: length - tooLong });
    for (const entry of entries.slice(i + 1)) guesses.push({ ...entry, offset: entry.offset - tooLong });
  }
  return guesses.filter((entry) => entry.offset >= 0 && entry.offset + entry.length <= bodyBytes);
}
