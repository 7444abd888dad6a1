/** What a prune packs anew, in portions after which it may stop. Memory: 4 bytes a blob that moves, 4 bytes a pack. */

import type { Usage } from '../inventory/usage.ts';
import type { PackFigures } from './prune-plan.ts';

/** Bytes of packs in a batch, more or less: some seconds of work. */
const batchBytes = 64 << 20;

export interface RepackBatches {
  /** The packs of each batch, in the order of the plan. */
  readonly packs: readonly (readonly PackFigures[])[];
  /** Stored bytes of all blobs that move. */
  readonly bytes: number;
  /** The entries that move out of the packs of each batch. */
  entries(): Generator<readonly number[]>;
}

export function batchesOf(usage: Usage, repack: readonly PackFigures[]): RepackBatches {
  const { index } = usage.inventory;
  const packs = inBatches(repack);
  /** By pack number: the batch + 1; 0 stays where it is. */
  const batchOf = batchNumbers(index.packs, packs);
  const starts = new Uint32Array(packs.length + 2);
  let bytes = 0;
  const each = (visit: (entry: number, batch: number) => void): void => {
    for (let entry = 0; entry < index.size; entry++) {
      const batch = usage.used.has(entry) ? batchOf[usage.keptIn(entry)] : 0;
      if (batch > 0) visit(entry, batch - 1);
    }
  };
  each((entry, batch) => {
    starts[batch + 1]++;
    bytes += index.storedLength(entry);
  });
  for (let batch = 0; batch < packs.length; batch++) starts[batch + 1] += starts[batch];
  const rows = new Uint32Array(starts[packs.length]);
  const next = starts.slice();
  each((entry, batch) => {
    rows[next[batch]++] = entry;
  });
  return {
    packs,
    bytes,
    *entries() {
      for (let batch = 0; batch < packs.length; batch++) yield [...rows.subarray(starts[batch], starts[batch + 1])];
    },
  };
}

function inBatches(repack: readonly PackFigures[]): PackFigures[][] {
  const batches: PackFigures[][] = [];
  let left = 0;
  for (const pack of repack) {
    if (left <= 0) {
      batches.push([]);
      left = batchBytes;
    }
    batches.at(-1)!.push(pack);
    left -= pack.sizeBytes;
  }
  return batches;
}

function batchNumbers(ids: readonly string[], batches: readonly (readonly PackFigures[])[]): Uint32Array {
  const byId = new Map<string, number>();
  for (const [batch, packs] of batches.entries()) for (const { id } of packs) byId.set(id, batch + 1);
  return Uint32Array.from(ids, (id) => byId.get(id) ?? 0);
}
