/** What the throwaway servers of all drivers need: a process that ends with us, and a directory for its socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Host, HostProcess } from '../hosts/host.ts';

/** The kernel takes 107 bytes (unix(7)). */
const longestSocketPath = 100;
const keptOutput = 16 * 1024;

/** Runs its arguments, and kills them when nothing holds its input open any more: no server outlives a killed Holdfast. */
const guard = [
  'exec 3<&0',
  '"$@" </dev/null 3<&- & server=$!',
  '{ cat <&3 >/dev/null 2>&1; kill -9 "$server"; } >/dev/null 2>&1 & watch=$!',
  'exec 3<&- </dev/null',
  'wait "$server"; status=$?',
  'kill -9 "$watch" 2>/dev/null; exit "$status"',
].join('\n');

/** The program with its arguments, ended when this process ends, however that happens. In a container it ends with that. */
export function endingWithUs(host: Host, argv: readonly string[]): readonly string[] {
  return host.kind === 'local' ? ['/bin/sh', '-c', guard, 'sh', ...argv] : argv;
}

export interface SocketDirectory {
  readonly path: string;
  remove(): Promise<void>;
}

/** A private directory for a socket of this name: the throwaway's own, or one with a shorter path where that is too long. */
export async function socketDirectory(host: Host, directory: string, name: string): Promise<SocketDirectory> {
  if (host.kind !== 'local' || Buffer.byteLength(`${directory}/${name}`) <= longestSocketPath) {
    return { path: directory, remove: async () => {} };
  }
  const short = await mkdtemp(join(tmpdir(), 'holdfast-'));
  return { path: short, remove: () => rm(short, { recursive: true, force: true }) };
}

/** A server's process, and the last of what it says. */
export class ThrowawayProcess {
  hasEnded = false;
  said = '';
  /** Settles when it has ended; does not reject. */
  readonly ended: Promise<void>;
  readonly #process: HostProcess;

  constructor(process: HostProcess) {
    this.#process = process;
    this.ended = this.#follow();
  }

  async stop(): Promise<void> {
    this.#process.kill();
    await this.ended;
  }

  async #follow(): Promise<void> {
    try {
      for await (const part of this.#process.stdout) {
        this.said = `${this.said}${Buffer.from(part).toString('utf8')}`.slice(-keptOutput);
      }
    } catch (error) {
      // Cancelled, or the host is gone: who waits for the server learns it there.
      this.said += messageOf(error);
    }
    const { stderr } = await this.#process.exit;
    this.said += stderr;
    this.hasEnded = true;
  }
}
