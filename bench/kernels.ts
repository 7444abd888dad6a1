/** Prints the speed of each hot loop in MB/s on one core: the best of several rounds, so that a busy machine matters less. Run: node bench/kernels.ts */
import { hash, randomFillSync } from 'node:crypto';
import { chunkerTables, scanCandidates } from '../src/repository/cutting/chunker.ts';
import { blockBytes, createKernel } from '../src/repository/kernel/kernel.ts';
import { generateMasterKey, Sealer, sealOverhead } from '../src/repository/sealing/crypto.ts';

const rounds = 15;
const roundBytes = 32 << 20;

function measure(name: string, bytes: number, work: () => void): void {
  const times = Math.ceil(roundBytes / bytes);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < times; i++) work();
    best = Math.min(best, performance.now() - start);
  }
  console.log(`${name.padEnd(36)} ${((bytes * times) / best / 1000).toFixed(0).padStart(6)} MB/s`);
}

const kernel = createKernel();
const sealer = new Sealer(generateMasterKey(), kernel);
const sixteen = randomFillSync(new Uint8Array(16));
const tables = chunkerTables(0x3da3358b4dc173n);
const shared = new Uint8Array(new SharedArrayBuffer((8 << 20) + 65_536));
for (let at = 0; at < shared.byteLength; at += 65_536) randomFillSync(shared, at, 65_536);

measure('Rabin scan, random', shared.byteLength, () => scanCandidates(kernel, tables, shared, 64));
const zeros = new Uint8Array(new SharedArrayBuffer(8 << 20));
measure('Rabin scan, zeros', zeros.byteLength, () => scanCandidates(kernel, tables, zeros, 64));
measure('all zero', zeros.byteLength, () => kernel.isZero(zeros));
kernel.macStart(sixteen);
measure('Poly1305, in place', blockBytes, () => kernel.macBlock(blockBytes));
measure('counters', blockBytes, () => kernel.fillCounters(sixteen, 0, blockBytes / 16));
measure('key stream applied', blockBytes, () => kernel.applyStream(blockBytes));
for (const size of [512, 4096, 32_768, 131_072, 1 << 20, 8 << 20]) {
  const sealed = new Uint8Array(new SharedArrayBuffer(size + sealOverhead + 1), 1);
  const plain = shared.subarray(3, 3 + size);
  const opened = new Uint8Array(new SharedArrayBuffer(size + 5), 5);
  measure(`seal ${size} B`, size, () => sealer.sealInto(plain, sealed));
  measure(`open ${size} B`, size, () => sealer.openInto(sealed, opened));
}
measure('SHA-256, for comparison', 1 << 20, () => hash('sha256', shared.subarray(0, 1 << 20), 'buffer'));
