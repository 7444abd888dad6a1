/** Programs of a user's: run to their end, in time. */
import { HoldfastError, throwIfCancelled } from '../base/errors.ts';
import { inTime, type Limits } from '../base/in-time.ts';
import type { Host, HostCommand } from './host.ts';

const toldCharacters = 600;
/** What of a program's output is kept, in bytes, from its start; the rest is read and dropped. */
const keptBytes = 64 << 10;

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  /** How it ended and the end of its stderr, in words. */
  readonly words: string;
}

/** Where programs are started. */
export type Runner = Pick<Host, 'name' | 'run'>;

/** Runs a program to its end. `host.command-failed` if it takes longer than it may: it is killed then. */
export async function runToEnd(
  host: Runner,
  { argv, env, cwd }: Omit<HostCommand, 'signal'>,
  limits: Limits,
): Promise<Ended> {
  const late = new HoldfastError({
    code: 'host.command-failed',
    message: `${argv[0]} did not end within ${limits.timeoutMs / 1000} s and was killed`,
    remedy: 'Find out what it waits for, or set a longer timeout.',
  });
  return await inTime(limits, late, async (signal) => {
    const process = await host.run({ argv, env, cwd, signal });
    await process.endInput();
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of process.stdout) {
      if (bytes < keptBytes) parts.push(Uint8Array.from(chunk));
      bytes += chunk.byteLength;
    }
    const stdout = Buffer.concat(parts).toString('utf8');
    const { status, signal: killer, stderr } = await process.exit;
    throwIfCancelled(signal);
    const tail = stderr
      .trim()
      .slice(-toldCharacters)
      .replace(/\s*\n\s*/g, ' | ');
    const ending = status === null ? `was killed by ${killer ?? 'a signal'}` : `ended with status ${status}`;
    return { status, stdout, words: tail === '' ? ending : `${ending}: ${tail}` };
  });
}

/** The same for one that has to end with 0. `what` is how the error names it. */
export async function mustSucceed(host: Runner, argv: readonly string[], what: string, limits: Limits): Promise<void> {
  const { status, words } = await runToEnd(host, { argv }, limits);
  if (status === 0) return;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${what}: ${argv[0]} ${words}`,
    remedy: `Run it by hand on ${host.name} to see what it needs.`,
  });
}
