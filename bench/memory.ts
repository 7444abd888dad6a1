/**
 * Memory of a backup against the size of its source: incompressible streams through the whole engine to a local
 * repository whose packs are removed as soon as they are stored (so that a small disk is enough).
 *
 *   node bench/memory.ts [--gib 1,5,20] [--cut content|pages] [--place /var/tmp]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Secret } from '../src/base/secrets.ts';
import { BlobSaver, initRepository, storeByContent, storePages } from '../src/repository/index.ts';
import { openStorage } from '../src/storage/open.ts';
import { storageKinds } from '../src/storage/registry.ts';
import type { Storage } from '../src/storage/storage.ts';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1,5,20' },
    cut: { type: 'string', default: 'content' },
    place: { type: 'string', default: '/var/tmp' },
    one: { type: 'string' },
  },
});

function withoutPacks(storage: Storage): Storage {
  const put: Storage['put'] = async (name, parts, options) => {
    await storage.put(name, parts, options);
    if (name.startsWith('data/')) await storage.delete(name);
  };
  return Object.assign(Object.create(storage), {
    put,
    get: storage.get.bind(storage),
    getInto: storage.getInto.bind(storage),
    stat: storage.stat.bind(storage),
    list: storage.list.bind(storage),
    delete: storage.delete.bind(storage),
    close: storage.close.bind(storage),
  });
}

/** Reads into the caller's buffer: a generator that allocates would be measured, too. */
async function openNoise(bytes: number) {
  const file = await open('/dev/urandom');
  let left = bytes;
  return {
    read: async (into: Uint8Array): Promise<number> => {
      const { bytesRead } = await file.read(into, 0, Math.min(into.byteLength, left));
      left -= bytesRead;
      return bytesRead;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function measureOne(gib: number): Promise<void> {
  const folder = mkdtempSync(join(values.place, 'holdfast-memory-'));
  try {
    const storage = withoutPacks(await openStorage(storageKinds, join(folder, 'repository'), { create: true }));
    const repository = await initRepository({ storage, password: new Secret('bench') });
    const started = performance.now();
    await using saver = await BlobSaver.open(repository);
    await using stream = await openNoise(gib * 2 ** 30);
    const options = { pageBytes: 4096, sizeHint: gib * 2 ** 30, progress: () => {} };
    if (values.cut === 'pages') await storePages(saver, stream, options);
    else await storeByContent(saver, stream, () => {});
    await saver.finish();
    const seconds = (performance.now() - started) / 1000;
    const peakKiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
    console.log(
      `${String(gib).padStart(4)} GiB  ${seconds.toFixed(1).padStart(7)} s  peak ${(peakKiB / 1024).toFixed(0)} MiB`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.one !== undefined) {
  await measureOne(Number(values.one));
} else {
  // The settings of the allocator and the collector are those of bin/holdfast.
  const env = {
    ...process.env,
    MALLOC_ARENA_MAX: '2',
    MALLOC_MMAP_THRESHOLD_: '1048576',
    MALLOC_TRIM_THRESHOLD_: '262144',
  };
  for (const gib of values.gib.split(',')) {
    const args = [
      '--max-semi-space-size=1',
      new URL(import.meta.url).pathname,
      '--one',
      gib,
      '--cut',
      values.cut,
      '--place',
      values.place,
    ];
    execFileSync(process.execPath, args, { env, stdio: 'inherit' });
  }
}
