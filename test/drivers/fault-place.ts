/** Where the faults of a suite happen: a small disk with the repository on it, a folder for temporary files, a configuration. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import type { AnyDriver } from '../../src/drivers/driver.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';

/** Of memory; what is not used costs nothing. */
const diskBytes = 2 ** 31;

export interface FaultPlace extends AsyncDisposable {
  readonly folder: string;
  /** What programs take for the system's folder of temporary files while the suite runs; on the same disk. */
  readonly temporary: string;
  readonly bench: Bench;
  /** False where this user cannot mount a disk of a size. */
  readonly hasDisk: boolean;
  /** From now on the disk of the repository takes nothing more, or takes it again. */
  fillDisk(): void;
  freeDisk(): void;
  /** For the program: this one source in the bench's own repository. */
  configure(sections: { readonly source: object; readonly hosts?: object }): string;
  /** Files in the folder of temporary ones, and processes that were started since the last call of `remember`. */
  remember(): void;
  leftovers(): string[];
}

export async function openFaultPlace(driver: AnyDriver): Promise<FaultPlace> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-faults-'));
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const hasDisk = mounts(['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', disk]);
  const temporary = join(disk, 'tmp');
  const { TMPDIR } = process.env;
  process.env.TMPDIR = temporary;
  const bench = await openDriverBench({ driver, storageKinds, clock: systemClock, place: disk });
  const [repository] = readdirSync(disk).map((name) => join(disk, name, 'repository'));
  mkdirSync(temporary);
  let known = new Set<string>();
  const all = (): string[] => [
    ...readdirSync(temporary),
    ...[...processesWith(temporary)].map(([id, line]) => `${id}: ${line}`).filter((one) => !one.includes('sshd')),
  ];
  return {
    ...{ folder, temporary, bench, hasDisk },
    fillDisk: () => fill(disk),
    freeDisk: () => void execFileSync('mount', ['-o', `remount,size=${diskBytes}`, disk]),
    configure({ source, hosts = {} }) {
      writeFileSync(join(folder, 'password'), 'check');
      const repositories = { here: { url: repository, password: { file: join(folder, 'password') } } };
      const sources = { trial: { ...source, driver: driver.name, repository: 'here' } };
      writeFileSync(join(folder, 'holdfast.yaml'), JSON.stringify({ repositories, hosts, sources }));
      return join(folder, 'holdfast.yaml');
    },
    remember() {
      known = new Set(all());
    },
    leftovers: () => all().filter((one) => !known.has(one)),
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      process.env.TMPDIR = TMPDIR ?? '/tmp';
      if (hasDisk) execFileSync('umount', [disk]);
      rmSync(folder, { recursive: true });
    },
  };
}

function mounts(args: readonly string[]): boolean {
  try {
    execFileSync('mount', args, { stdio: 'ignore' });
    return true;
  } catch {
    return false; // Only root may.
  }
}

/** The disk becomes as small as what is on it; with a little room the oftener something was written meanwhile. */
function fill(disk: string): void {
  for (let attempt = 0; attempt < 50; attempt++) {
    const { blocks, bfree, bsize } = statfsSync(disk);
    if (mounts(['-o', `remount,size=${(blocks - bfree + attempt * attempt) * bsize}`, disk])) return;
  }
  throw new Error('the disk does not become full');
}

/** By what they got as environment: everything Holdfast starts on this machine, and that starts in turn, inherits TMPDIR. */
export function processesWith(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${id}/environ`, 'latin1').includes(text)) continue;
      const line = readFileSync(`/proc/${id}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
      if (line !== '') found.set(Number(id), line); // a zombie has none
    } catch {
      // ended meanwhile
    }
  }
  return found;
}
