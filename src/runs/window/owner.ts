/** Which process a record belongs to, so that another one sees whether it still lives. */
import { readFileSync } from 'node:fs';

/** `pid-ticks-boot`: the process, when it started in ticks since boot (proc_pid_stat(5)), and the id of that boot. */
export function ownIdentity(): string {
  return `${process.pid}-${startOf(process.pid)}-${bootId()}`;
}

/** False for a process that ended, also if another has its id now, and after a restart of the machine. */
export function isAlive(identity: string): boolean {
  const match = /^(\d+)-(\d+)-(.+)$/.exec(identity);
  return match !== null && match[3] === bootId() && startOf(Number(match[1])) === match[2];
}

function startOf(id: number): string {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, 'latin1');
    // the name in parentheses may hold anything; the state is the first after it, the start the twentieth
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return /^[ZX]/.test(fields[0]) ? '' : fields[19];
  } catch {
    return ''; // it does not run
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return 'unknown';
  }
}
