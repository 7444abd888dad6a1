/** Reads a whole pack as a stranger would: its hash, its header, every blob. Runs in a worker; memory: one blob. */
import { hash } from 'node:crypto';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { messageOf } from '../../base/errors.ts';
import { freeMemory } from '../../base/free-memory.ts';
import { type Sealer, sealOverhead } from '../crypto.ts';
import { decodePackHeader, type PackEntry } from '../format/pack-header.ts';
import { decompress } from '../zstd.ts';
import type { CheckPackJob, CheckPackResult } from './messages.ts';
import { packEntries } from './pack-builder.ts';

export function checkPack(job: CheckPackJob, sealer: Sealer): CheckPackResult {
  const bytes = Buffer.from(job.slab, 0, job.length);
  const faults: string[] = [];
  const damaged: string[] = [];
  if (hash('sha256', bytes) !== job.id) faults.push('its bytes do not have the hash that is its name');
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
    const body = sealer.open(bytes.subarray(entry.offset, entry.offset + entry.length));
    const plain = entry.uncompressedLength === 0 ? body : decompress(body, entry.uncompressedLength);
    const same = equalBytes(hash('sha256', plain, 'buffer'), entry.id);
    freeMemory(body);
    if (plain !== body) freeMemory(plain);
    return same ? undefined : 'its content does not match its id';
  } catch (error) {
    return messageOf(error);
  }
}
