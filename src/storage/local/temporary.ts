/**
 * Files on their way to become objects. They lie beside their target (a rename must not leave the file system) under names
 * with a `~`, which no object has and which restic, too, takes for none. A killed process leaves them behind; later puts
 * into the same folder remove those that nobody writes any more.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemCode } from '../../base/errors.ts';
import { isAbsent } from './io-errors.ts';

const abandonedAfterMs = 24 * 3_600_000;

/** Where a process number means the same process: this boot of this machine, and this container. */
const here = processSpace();

/** `~holdfast-<process space>-<pid>-<random>` */
export function temporaryName(): string {
  return `~holdfast-${here}-${process.pid}-${randomBytes(8).toString('hex')}`;
}

/**
 * Removes abandoned temporary files of a folder: those of dead processes of this machine, and any that was not written
 * for 24 hours. `nowMs` is the time by the storage's own clock (the mtime of a file just written there), because a NAS
 * and this machine may disagree. Files that belong to somebody else and may not be removed are left.
 */
export async function sweepTemporaries(folder: string, nowMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const match = /^~holdfast-([0-9a-f]+)-(\d+)-/.exec(name);
    if (!match) continue;
    const path = join(folder, name);
    try {
      const dead = match[1] === here && !isAlive(Number(match[2]));
      if (dead || (await stat(path)).mtimeMs < nowMs - abandonedAfterMs) await unlink(path);
    } catch (error) {
      if (!isAbsent(error) && !['EACCES', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

/** 16 hex digits. Random where the system does not tell: then only age decides. */
function processSpace(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    const facts = [boot, readlinkSync('/proc/self/ns/pid'), hostname()];
    return createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 16);
  } catch {
    return randomBytes(8).toString('hex');
  }
}
