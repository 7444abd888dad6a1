/**
 * A repository of many snapshots and blobs, and what it costs to work with it, beside restic: listing snapshots, opening the
 * index, pruning. The blobs of data are named by the index and lie in sparse packs of the right size, which neither program
 * reads for any of this; trees and snapshots are real. A tenth of the packs is needed by nobody: prune removes them.
 *
 *   node bench/scale.ts make PLACE [--snapshots 10000] [--blobs 5000000]
 *   node bench/scale.ts measure PLACE [--rounds 3] [--restic restic-new] [--real]
 */
import { execFileSync } from 'node:child_process';
import { randomBytes, randomFillSync } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Secret } from '../src/base/secrets.ts';
import type { Node } from '../src/model/node.ts';
import { snapshotTags } from '../src/model/snapshot.ts';
import { saveIndexFile } from '../src/repository/blob-index/index-files.ts';
import {
  BlobSaver,
  encodeTree,
  initRepository,
  packName,
  type Repository,
  saveSnapshot,
} from '../src/repository/index.ts';
import { openStorage } from '../src/storage/open.ts';
import { storageKinds } from '../src/storage/registry.ts';
import { setup as putResticOnPath } from '../test/servers/restic.ts';
import { measure, median } from './measure.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    snapshots: { type: 'string', default: '10000' },
    blobs: { type: 'string', default: '5000000' },
    rounds: { type: 'string', default: '3' },
    restic: { type: 'string', default: 'restic-new' },
    real: { type: 'boolean', default: false },
  },
});
await putResticOnPath();
const password = 'scale';
const blobsPerPack = 400;
const packsPerIndexFile = 125;
const blobBytes = 40_000;
const blobsPerTree = 2000;

/** Entries of a pack of data blobs, with random ids. */
function packOf(ids: Uint8Array) {
  return Array.from({ length: ids.byteLength / 32 }, (_, i) => ({
    type: 'data' as const,
    id: ids.subarray(i * 32, i * 32 + 32),
    offset: i * blobBytes,
    length: blobBytes,
    uncompressedLength: blobBytes + 20_000,
  }));
}

/** The blobs of every pack but each tenth, in order; index files and sparse packs are written on the way. */
async function* dataBlobs(repository: Repository, place: string, blobs: number): AsyncGenerator<Uint8Array> {
  const packs = Math.ceil(blobs / blobsPerPack);
  let file: { id: string; entries: ReturnType<typeof packOf> }[] = [];
  for (let i = 0; i < 256; i++) mkdirSync(join(place, 'data', i.toString(16).padStart(2, '0')), { recursive: true });
  for (let i = 0; i < packs; i++) {
    const ids = randomFillSync(new Uint8Array(blobsPerPack * 32));
    const id = randomBytes(32).toString('hex');
    const handle = openSync(join(place, packName(id)), 'w');
    ftruncateSync(handle, blobsPerPack * (blobBytes + 41) + 36);
    closeSync(handle);
    file.push({ id, entries: packOf(ids) });
    if (file.length === packsPerIndexFile || i === packs - 1) {
      await saveIndexFile(repository, file);
      file = [];
    }
    if (i % 10 !== 0) yield ids;
  }
}

function fileNode(content: Uint8Array): Node {
  const times = { mtimeNs: 1n, atimeNs: 1n, ctimeNs: 1n };
  const size = (content.byteLength / 32) * (blobBytes + 20_000);
  const plain = { mode: 0o644, uid: 0, gid: 0, inode: 1n, deviceId: 0n, links: 1 };
  return { name: 'file', type: 'file', ...times, ...plain, size, content };
}

async function make(place: string): Promise<void> {
  rmSync(place, { recursive: true, force: true });
  const storage = await openStorage(storageKinds, place, { create: true });
  await using repository = await initRepository({ storage, password: new Secret(password) });
  const trees: string[] = [];
  {
    await using saver = await BlobSaver.open(repository, { threads: 2 });
    let gathered: Uint8Array[] = [];
    const store = async (): Promise<void> => {
      trees.push(Buffer.from(await saver.storeTree(encodeTree([fileNode(Buffer.concat(gathered))]))).toString('hex'));
      gathered = [];
    };
    for await (const ids of dataBlobs(repository, place, Number(values.blobs))) {
      if (gathered.push(ids) * blobsPerPack >= blobsPerTree) await store();
    }
    if (gathered.length > 0) await store();
    await saver.finish();
  }
  const count = Number(values.snapshots);
  for (let i = 0; i < count; i++) {
    await saveSnapshot(repository, {
      time: new Date(Date.UTC(2020, 0, 1) + i * 3_600_000).toISOString(),
      tree: trees[i % trees.length],
      paths: ['/srv/data'],
      hostname: 'box',
      tags: snapshotTags({ source: `source-${i % 20}`, driver: 'files', run: `r${i}` }),
    });
  }
  process.stdout.write(`${values.blobs} blobs, ${trees.length} trees, ${count} snapshots at ${place}\n`);
}

interface Work {
  readonly name: string;
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

function works(place: string): Work[] {
  const ours = (...args: string[]): string[] => [join(import.meta.dirname, '../bin/holdfast'), '--json', ...args];
  const theirs = (...args: string[]): string[] => [values.restic, '--no-cache', '-r', place, ...args];
  const reading = [
    { name: 'list snapshots', ours: ours('snapshots', '--repository', place), theirs: theirs('snapshots', '--json') },
    {
      name: 'open the index, list one',
      ours: ours('ls', 'latest', '--repository', place),
      theirs: theirs('ls', 'latest'),
    },
    { name: 'prune, dry run', ours: ours('repo', 'prune', place, '--dry-run'), theirs: theirs('prune', '--dry-run') },
  ];
  return values.real ? [{ name: 'prune', ours: ours('repo', 'prune', place), theirs: theirs('prune') }] : reading;
}

async function compare({ name, ours, theirs }: Work, place: string): Promise<void> {
  const env = { RESTIC_PASSWORD: password, HOLDFAST_PASSWORD: password };
  const results = {
    ours: [] as Awaited<ReturnType<typeof measure>>[],
    theirs: [] as Awaited<ReturnType<typeof measure>>[],
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [who, argv] of [
      ['ours', ours],
      ['theirs', theirs],
    ] as const) {
      const copy = `${place}.copy`;
      if (values.real) execFileSync('cp', ['-a', '--sparse=always', place, copy]);
      results[who].push(
        await measure(
          argv.map((word) => (values.real && word === place ? copy : word)),
          env,
        ),
      );
      rmSync(copy, { recursive: true, force: true });
    }
  }
  const of = (who: keyof typeof results, figure: 'wallS' | 'cpuS' | 'peakMiB'): number =>
    median(results[who].map((one) => one[figure]));
  const ratio = (figure: 'wallS' | 'cpuS' | 'peakMiB'): string =>
    (of('ours', figure) / of('theirs', figure)).toFixed(2);
  process.stdout.write(
    `${name}: ${of('ours', 'wallS').toFixed(2)} s, ${of('ours', 'peakMiB').toFixed(0)} MiB; ${values.restic} ` +
      `${of('theirs', 'wallS').toFixed(2)} s, ${of('theirs', 'peakMiB').toFixed(0)} MiB; ` +
      `ratios time ${ratio('wallS')}, CPU ${ratio('cpuS')}, memory ${ratio('peakMiB')}\n`,
  );
}

const [verb, place] = positionals;
if (verb === 'make') await make(place);
else for (const work of works(place)) await compare(work, place);
