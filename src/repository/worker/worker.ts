/** A repository worker: the thread where hashing, cutting, compressing, sealing and opening happen. Started by `pool.ts`. */
import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { copyBytes } from '../../base/copy-bytes.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { chunkerTables, scanCandidates } from '../cutting/chunker.ts';
import { cutRegion } from '../cutting/page-cutter.ts';
import { createKernel } from '../kernel/kernel.ts';
import { Sealer, sealOverhead } from '../sealing/crypto.ts';
import { decompress } from '../sealing/zstd.ts';
import { checkPack } from './check-pack.ts';
import type {
  BlobFault,
  CutPagesJob,
  FinishedPack,
  FromWorker,
  HashJob,
  Job,
  JobResults,
  OpenJob,
  ScanJob,
  SealJob,
  ToWorker,
  WorkerSettings,
} from './messages.ts';
import { PackBuilder } from './pack-builder.ts';

const settings = workerData as WorkerSettings;
const kernel = createKernel();
const sealer = new Sealer(settings.masterKey, kernel);
const tables = chunkerTables(settings.polynomial);
const builderSettings = { ...settings, sealer, finished: (pack: FinishedPack) => tell({ pack }) };
const builders = {
  data: new PackBuilder(builderSettings, 'data'),
  tree: new PackBuilder(builderSettings, 'tree'),
};
let scratch = Buffer.alloc(0);

function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

function scan(job: ScanJob): Uint32Array {
  const data = new Uint8Array(job.slab, job.offset - job.context, job.length + job.context);
  return scanCandidates(kernel, tables, data, job.context);
}

function hashRanges(job: HashJob): Uint8Array {
  const ids = new Uint8Array((job.ranges.length / 2) * 32);
  for (let i = 0; i < job.ranges.length; i += 2) {
    ids.set(sha256(new Uint8Array(job.slab, job.ranges[i], job.ranges[i + 1])), i * 16);
  }
  return ids;
}

function cutPages(job: CutPagesJob): JobResults['cut-pages'] {
  return job.regions.map((region) =>
    cutRegion(region.length, region.parent, job, (offset, length) =>
      sha256(new Uint8Array(job.slab, region.offset + offset, length)),
    ),
  );
}

function tell(message: FromWorker): void {
  parentPort!.postMessage(message);
}

function seal(job: SealJob): number {
  let storedBytes = 0;
  for (let i = 0; i < job.ranges.length; i += 2) {
    const plain = Buffer.from(job.slab, job.ranges[i], job.ranges[i + 1]);
    storedBytes += builders[job.type].add(plain, job.ids.subarray(i * 16, i * 16 + 32));
  }
  return storedBytes;
}

function flush(): undefined {
  builders.data.flush();
  builders.tree.flush();
}

/** Opens one stored blob into `out`; returns what is wrong with it, if anything. */
function openBlob(sealed: Uint8Array, uncompressedLength: number, id: Uint8Array, out: Uint8Array): string | undefined {
  const length = sealed.byteLength - sealOverhead;
  let plain = out;
  if (uncompressedLength === 0) {
    sealer.openInto(sealed, out);
  } else {
    if (scratch.byteLength < length) scratch = Buffer.allocUnsafeSlow(Math.max(length, 1 << 20));
    const compressed = scratch.subarray(0, length);
    sealer.openInto(sealed, compressed);
    plain = decompress(compressed, uncompressedLength);
    if (plain.byteLength !== uncompressedLength) return 'its length is not the one recorded';
    copyBytes(plain, out);
    plain = out;
  }
  return equalBytes(sha256(plain), id) ? undefined : 'its content does not match its id';
}

function open(job: OpenJob): readonly BlobFault[] {
  const faults: BlobFault[] = [];
  for (let i = 0; i * 4 < job.blobs.length; i++) {
    const [offset, length, uncompressedLength, outOffset] = job.blobs.subarray(i * 4, i * 4 + 4);
    const id = job.ids.subarray(i * 32, i * 32 + 32);
    const out = new Uint8Array(job.out, outOffset, uncompressedLength || length - sealOverhead);
    let fault: string | undefined;
    try {
      fault = openBlob(new Uint8Array(job.slab, offset, length), uncompressedLength, id, out);
    } catch (error) {
      fault = messageOf(error);
    }
    if (fault !== undefined) faults.push({ index: i, message: `blob ${toHex(id)}: ${fault}` });
  }
  return faults;
}

function perform(job: Job): JobResults[Job['kind']] {
  switch (job.kind) {
    case 'scan':
      return scan(job);
    case 'hash':
      return hashRanges(job);
    case 'cut-pages':
      return cutPages(job);
    case 'seal':
      return seal(job);
    case 'flush':
      return flush();
    case 'open':
      return open(job);
    case 'check-pack':
      return checkPack(job, sealer);
  }
}

function answer(message: ToWorker): FromWorker {
  try {
    return { number: message.number, result: perform(message.job) };
  } catch (error) {
    const known = error instanceof HoldfastError;
    return {
      number: message.number,
      error: {
        code: known ? error.code : 'internal',
        message: messageOf(error),
        remedy: known ? error.remedy : 'Please report this with the message.',
      },
    };
  }
}

parentPort!.on('message', (message: ToWorker) => tell(answer(message)));
