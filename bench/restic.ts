/**
 * Holdfast against restic: the same work on the same machine in the same run, both with their defaults.
 *
 *   node bench/restic.ts [--size-mib 2048] [--files 50000] [--rounds 3] [--restic restic-new] [--place /var/tmp] [--sets small,random,database]
 *
 * Prints medians and ratios (restic ÷ Holdfast; above 1 means Holdfast is faster or smaller).
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setup as putResticOnPath } from '../test/servers/restic.ts';
import { type Measurement, measure, median } from './measure.ts';

const { values } = parseArgs({
  options: {
    'size-mib': { type: 'string', default: '2048' },
    files: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '3' },
    restic: { type: 'string', default: 'restic-new' },
    place: { type: 'string', default: '/var/tmp' },
    sets: { type: 'string', default: 'small,random,database' },
  },
});
await putResticOnPath();
let asideCount = 0;
const sizeMiB = Number(values['size-mib']);
const rounds = Number(values.rounds);
const holdfast = new URL('../bin/holdfast', import.meta.url).pathname;
const work = mkdtempSync(join(values.place, 'holdfast-bench-'));
const env = { RESTIC_PASSWORD: 'bench', HOLDFAST_PASSWORD: 'bench', RESTIC_CACHE_DIR: join(work, 'cache') };

const sets: Record<string, (folder: string) => void> = {
  random: (folder) => writeStream(join(folder, 'random.bin'), randomSource()),
  database: (folder) => writeStream(join(folder, 'database.bin'), databaseSource()),
  small: (folder) => writeSmallFiles(folder, Number(values.files)),
};

/** Incompressible bytes at AES speed. */
function randomSource(): () => Buffer {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(1 << 20);
  return () => cipher.update(zeros);
}

/** 8 KiB pages of rows: a header, counters, repeated words and a third of random bytes; zstd gets 2.5–3 to 1. */
function databaseSource(): () => Buffer {
  const random = randomSource();
  let row = 0;
  return () => {
    const block = random();
    for (let page = 0; page < block.byteLength; page += 8192) {
      for (let at = 24; at + 128 <= 8192; at += 128) {
        const text = `${row++}|customer|2026-11-${String(1 + (row % 28)).padStart(2, '0')}|open|EUR|`;
        block.write(text.padEnd(88, ' '), page + at, 'latin1');
      }
      block.writeUInt32LE(row, page);
    }
    return block;
  };
}

function writeStream(file: string, next: () => Buffer): void {
  const fd = openSync(file, 'w');
  for (let i = 0; i < sizeMiB; i++) writeSync(fd, next());
  closeSync(fd);
}

function writeSmallFiles(folder: string, count: number): void {
  const next = databaseSource();
  const noise = randomSource();
  let block = next();
  let used = 0;
  for (let i = 0; i < count; i++) {
    if (i % 100 === 0) mkdirSync(join(folder, `d${Math.floor(i / 100)}`));
    const size = 200 + ((i * 7919) % 14_000);
    if (used + size > block.byteLength) {
      block = i % 3 === 0 ? noise() : next();
      used = 0;
    }
    writeFileSync(join(folder, `d${Math.floor(i / 100)}`, `f${i}.dat`), block.subarray(used, used + size));
    used += size;
  }
}

interface Program {
  readonly name: string;
  prepare(repository: string, source: string): Promise<void>;
  steps(repository: string, source: string, target: string): Record<string, readonly string[]>;
}

const restic: Program = {
  name: 'restic',
  prepare: async (repository) => {
    await measure([values.restic, '-r', repository, 'init'], env);
  },
  steps: (repository, source, target) => {
    const run = (...rest: string[]) => [values.restic, '-r', repository, ...rest];
    return {
      backup: run('backup', source),
      unchanged: run('backup', source),
      restore: run('restore', 'latest', '--target', target),
      'check --read-data': run('check', '--read-data'),
      prune: run('forget', '--keep-last', '1', '--prune'),
    };
  },
};

const ours: Program = {
  name: 'holdfast',
  prepare: async (repository, source) => {
    const config = {
      repositories: { bench: { url: repository, password: { env: 'HOLDFAST_PASSWORD' } } },
      policies: { bench: { repositories: [{ name: 'bench', keep: { last: 1 } }] } },
      sources: { data: { driver: 'files', paths: [source], policy: 'bench' } },
    };
    writeFileSync(`${repository}.yaml`, JSON.stringify(config));
    await measure([holdfast, '--config', `${repository}.yaml`, 'repo', 'init', 'bench'], env);
  },
  steps: (repository, _source, target) => {
    const run = (...rest: string[]) => [holdfast, '--config', `${repository}.yaml`, ...rest];
    return {
      backup: run('backup', 'data'),
      unchanged: run('backup', 'data'),
      restore: run('restore', 'data@latest', '--to', target),
      'check --read-data': run('repo', 'check', 'bench', '--read-data'),
      prune: run('forget', '--all', '--prune'),
    };
  },
};

/**
 * Removes, or for the set of many files only renames: ext4 makes new files slowly for minutes after it removed many, at
 * the expense of whoever comes next.
 */
function putAside(keep: boolean, ...folders: readonly string[]): void {
  for (const folder of folders) {
    if (keep) renameSync(folder, `${folder}-${asideCount++}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

async function benchSet(set: string): Promise<void> {
  const source = join(work, `${set}-source`);
  mkdirSync(source);
  sets[set](source);
  const results = new Map<string, Measurement[]>();
  for (let round = 0; round < rounds; round++) {
    for (const program of round % 2 === 0 ? [restic, ours] : [ours, restic]) {
      const repository = join(work, `${program.name}-repository`);
      const target = join(work, `${program.name}-target`);
      await program.prepare(repository, source);
      for (const [step, argv] of Object.entries(program.steps(repository, source, target))) {
        const key = `${step}/${program.name}`;
        results.set(key, [...(results.get(key) ?? []), await measure(argv, env)]);
      }
      putAside(set === 'small', repository, target);
    }
  }
  putAside(set === 'small', source);
  print(set, results);
}

function print(set: string, results: Map<string, Measurement[]>): void {
  console.log(`\n${set} (${rounds} rounds, medians; ratio = restic ÷ holdfast)`);
  console.log(
    'step               restic s  holdfast s  ratio |  restic cpu  holdfast cpu  ratio |  restic MiB  holdfast MiB  ratio',
  );
  for (const key of results.keys()) {
    const [step, program] = key.split('/');
    if (program !== 'restic') continue;
    const pick = (name: string, field: keyof Measurement) =>
      median(results.get(`${step}/${name}`)!.map((m) => m[field]));
    const columns = (['wallS', 'cpuS', 'peakMiB'] as const).map((field) => {
      const [theirs, own] = [pick('restic', field), pick('holdfast', field)];
      return `${theirs.toFixed(2).padStart(9)} ${own.toFixed(2).padStart(11)} ${(theirs / own).toFixed(2).padStart(6)}`;
    });
    console.log(`${step.padEnd(18)} ${columns.join(' | ')}`);
  }
}

try {
  for (const set of values.sets.split(',')) await benchSet(set);
} finally {
  rmSync(work, { recursive: true, force: true });
}
