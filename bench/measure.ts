/** Runs programs and measures them: wall and CPU seconds (children included), peak resident memory. Linux. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measurement {
  readonly wallS: number;
  readonly cpuS: number;
  readonly peakMiB: number;
}

/** Runs to the end; throws with the output's tail if the exit status is not among `ok`. One at a time: CPU is the waited-for children's. */
export async function measure(
  argv: readonly string[],
  env: Record<string, string> = {},
  ok = [0],
): Promise<Measurement> {
  const cpuBefore = childrenCpuS();
  const start = performance.now();
  const child = spawn(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part) => {
      output = (output + part).slice(-4000);
    });
  }
  let peakKiB = 0;
  const poll = setInterval(() => {
    peakKiB = Math.max(peakKiB, peakOf(child.pid!));
  }, 10);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(poll);
  const wallS = (performance.now() - start) / 1000;
  if (!ok.includes(status ?? -1)) throw new Error(`${argv.join(' ')} ended with ${status}:\n${output}`);
  return { wallS, cpuS: childrenCpuS() - cpuBefore, peakMiB: peakKiB / 1024 };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** cutime + cstime of this process: what its ended children used, in clock ticks of 10 ms. */
function childrenCpuS(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
