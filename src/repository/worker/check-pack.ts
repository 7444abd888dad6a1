/**
 * Reads a whole pack as a stranger would: its header, every blob, that they fill it, and if anything is wrong its hash too.
 * Every byte of a pack is under the seal of its header or of a blob, and each blob is compared with its id: where all are
 * sound, the hash of the whole can find nothing more and is not taken (a fifth of the time). Runs in a worker; memory: one blob.
 */
import { hash } from 'node:crypto';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { messageOf } from '../../base/errors.ts';
import { decodePackHeader, type PackEntry } from '../format/pack-header.ts';
import { type Sealer, sealOverhead } from '../sealing/crypto.ts';
import { decompress } from '../sealing/zstd.ts';
import type { CheckPackJob, CheckPackResult } from './messages.ts';
import { packEntries } from './pack-builder.ts';

/** Opened blobs pass through one piece of memory: a new one for each costs a third of the time. */
let scratch = Buffer.alloc(0);
const leastScratch = 2 << 20;

export function checkPack(job: CheckPackJob, sealer: Sealer): CheckPackResult {
  const bytes = Buffer.from(job.slab, 0, job.length);
  const faults: string[] = [];
  const damaged: string[] = [];
  let entries: PackEntry[] = [];
  try {
    entries = readHeader(bytes, sealer);
  } catch (error) {
    faults.push(`its header cannot be read: ${messageOf(error)}`);
  }
  for (const entry of entries) {
    const fault = blobFault(bytes, entry, sealer);
    if (fault === undefined) continue;
    faults.push(`blob ${toHex(entry.id).slice(0, 16)}: ${fault}`);
    damaged.push(toHex(entry.id));
  }
  if (faults.length > 0 && hash('sha256', bytes) !== job.id) {
    faults.unshift('its bytes do not have the hash that is its name');
  }
  return { blobs: packEntries(entries), faults, damaged };
}

function readHeader(bytes: Buffer, sealer: Sealer): PackEntry[] {
  if (bytes.byteLength < 4 + sealOverhead) throw new Error('too short');
  const length = bytes.readUInt32LE(bytes.byteLength - 4);
  const start = bytes.byteLength - 4 - length;
  if (start < 0 || length < sealOverhead) throw new Error('impossible header length');
  const entries = decodePackHeader(sealer.open(bytes.subarray(start, start + length)));
  const end = entries.reduce((sum, entry) => sum + entry.length, 0);
  if (end !== start) throw new Error('its blobs do not fill it');
  return entries;
}

function blobFault(bytes: Buffer, entry: PackEntry, sealer: Sealer): string | undefined {
  try {
    if (scratch.byteLength < entry.length) scratch = Buffer.allocUnsafeSlow(Math.max(entry.length, leastScratch));
    const length = sealer.openInto(bytes.subarray(entry.offset, entry.offset + entry.length), scratch);
    const body = scratch.subarray(0, length);
    if (entry.uncompressedLength === 0) return fits(body, entry);
    return fits(decompress(body, entry.uncompressedLength), entry);
  } catch (error) {
    return messageOf(error);
  }
}

function fits(plain: Uint8Array, entry: PackEntry): string | undefined {
  return equalBytes(hash('sha256', plain, 'buffer'), entry.id) ? undefined : 'its content does not match its id';
}
