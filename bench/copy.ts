/**
 * Copying between two repositories on one disk, against `restic copy`: everything, then nothing new, then a little that is
 * new. Both programs copy the same repositories, which restic made; each into places of its own, in turn, with its defaults.
 *
 *   node bench/copy.ts [--size-mib 512] [--files 20000] [--rounds 3] [--restic restic-new] [--place /var/tmp]
 *
 * Prints medians and ratios (restic ÷ Holdfast; above 1 means Holdfast is faster).
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setup as putResticOnPath } from '../test/servers/restic.ts';
import { type Measurement, measure, median } from './measure.ts';

const { values } = parseArgs({
  options: {
    'size-mib': { type: 'string', default: '512' },
    files: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    restic: { type: 'string', default: 'restic-new' },
    place: { type: 'string', default: '/var/tmp' },
  },
});
await putResticOnPath();
const rounds = Number(values.rounds);
const holdfast = new URL('../bin/holdfast', import.meta.url).pathname;
const work = mkdtempSync(join(values.place, 'holdfast-bench-copy-'));
const source = join(work, 'source');
const origin = join(work, 'origin');
const env = {
  RESTIC_PASSWORD: 'bench',
  RESTIC_FROM_PASSWORD: 'bench',
  RESTIC_PROGRESS_FPS: '0',
  HOLDFAST_PASSWORD: 'bench',
};

function restic(...args: string[]): void {
  execFileSync(values.restic, args, { env: { ...process.env, ...env, RESTIC_CACHE_DIR: join(work, 'cache-made') } });
}

/** Half of it does not compress, half of it does; and many small files in many directories. */
function makeSource(): void {
  mkdirSync(source, { recursive: true });
  const big = join(source, 'big.bin');
  writeFileSync(big, '');
  for (let i = 0; i < Number(values['size-mib']); i++) {
    appendFileSync(
      big,
      i % 2 === 0 ? randomBytes(1 << 20) : Buffer.alloc(1 << 20, `row ${i} of some text that repeats `),
    );
  }
  for (let i = 0; i < Number(values.files); i++) {
    const folder = join(source, `d${Math.floor(i / 100)}`);
    if (i % 100 === 0) mkdirSync(folder);
    writeFileSync(join(folder, `f${i}`), `file ${i} ${'x'.repeat((i * 7919) % 4000)}`);
  }
}

/** 1 % of the bytes and 20 of the files. */
function changeSource(): void {
  for (let i = 0; i < Math.max(1, Number(values['size-mib']) / 100); i++) {
    appendFileSync(join(source, 'big.bin'), randomBytes(1 << 20));
  }
  for (let i = 0; i < 20; i++) appendFileSync(join(source, `d${i}`, `f${i * 100}`), 'more');
}

function packBytes(repository: string): number {
  const data = join(repository, 'data');
  const files = readdirSync(data).flatMap((one) => readdirSync(join(data, one)).map((name) => join(data, one, name)));
  return files.reduce((sum, file) => sum + statSync(file).size, 0);
}

interface Program {
  readonly name: string;
  argv(from: string, to: string): string[];
}

const programs: readonly Program[] = [
  {
    name: 'Holdfast',
    argv: (from, to) => [holdfast, 'repo', 'copy', from, '--to', to],
  },
  {
    name: values.restic,
    argv: (from, to) => [values.restic, '-r', to, '--cache-dir', join(work, 'cache'), 'copy', '--from-repo', from],
  },
];
const stages = ['everything', 'nothing new', 'a little new'] as const;
const measured = new Map<string, Measurement[]>();

async function runStage(program: Program, stage: string, from: string, to: string): Promise<void> {
  const key = `${program.name} ${stage}`;
  const before = packBytes(to);
  measured.set(key, [...(measured.get(key) ?? []), await measure(program.argv(from, to), env)]);
  const sent = ((packBytes(to) - before) / 2 ** 20).toFixed(1);
  if (measured.get(key)!.length === 1) console.log(`${key}: ${sent} MiB stored`);
}

try {
  makeSource();
  restic('-r', origin, 'init');
  restic('-r', origin, 'backup', '--quiet', source);
  const later = join(work, 'origin-later');
  cpSync(origin, later, { recursive: true });
  changeSource();
  restic('-r', later, 'backup', '--quiet', source);
  for (let round = 0; round < rounds; round++) {
    for (const program of round % 2 === 0 ? programs : programs.toReversed()) {
      const to = join(work, 'to');
      rmSync(to, { recursive: true, force: true });
      restic('-r', to, 'init');
      await runStage(program, stages[0], origin, to);
      await runStage(program, stages[1], origin, to);
      await runStage(program, stages[2], later, to);
      if (round === 0) restic('-r', to, 'check', '--read-data', '--quiet');
    }
  }
  const [ours, theirs] = programs;
  for (const stage of stages) {
    const of = (program: Program, key: keyof Measurement): number =>
      median(measured.get(`${program.name} ${stage}`)!.map((one) => one[key]));
    const line = (program: Program): string =>
      `${program.name} ${of(program, 'wallS').toFixed(2)} s (cpu ${of(program, 'cpuS').toFixed(2)} s, ${of(program, 'peakMiB').toFixed(0)} MiB)`;
    const ratio = (of(theirs, 'wallS') / of(ours, 'wallS')).toFixed(2);
    console.log(`${stage}: ${line(ours)} · ${line(theirs)} · ratio ${ratio}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
