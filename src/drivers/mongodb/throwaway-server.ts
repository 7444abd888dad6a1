/** A mongod of our own with an empty data directory: no port, no password, a Unix socket in a private directory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { HostProcess } from '../../hosts/host.ts';
import type { SourceContext } from '../driver.ts';
import type { Place } from './programs.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export interface ThrowawayServer extends AsyncDisposable {
  readonly socketPath: string;
}

/** The kernel takes 107 bytes; mongod makes a second socket named by the port beside ours. */
const longestDirectory = 80;
const pollMs = 50;
const keptOutput = 16 * 1024;

/** Starts it and waits until it takes connections. `drill.failed` with what it says if it does not. */
export async function startServer(source: Source, place: Place): Promise<ThrowawayServer> {
  const sockets = await socketDirectory(place);
  try {
    const data = join(place.directory, 'data');
    await using target = await place.host.openTarget(place.directory, 'replace');
    await target.makeDirectory(data);
    await target.finish();
    const socketPath = join(sockets.directory, 'mongod.sock');
    const argv = [place.program, '--dbpath', data, '--bind_ip', socketPath, '--port', '27017'];
    const process = await place.host.run({
      argv: [...argv, '--unixSocketPrefix', sockets.directory],
      cwd: place.directory,
      signal: source.signal,
    });
    const running = new Running(process);
    try {
      await awaitReady(source, place, socketPath, running);
    } catch (error) {
      await running.stop();
      throw error;
    }
    return {
      socketPath,
      async [Symbol.asyncDispose]() {
        await running.stop();
        await sockets.remove();
      },
    };
  } catch (error) {
    await sockets.remove();
    throw error;
  }
}

/** A socket's path has to be short, the throwaway's may be long. */
async function socketDirectory({
  host,
  directory,
}: Place): Promise<{ directory: string; remove: () => Promise<void> }> {
  if (host.kind !== 'local' || Buffer.byteLength(directory) <= longestDirectory) {
    return { directory, remove: async () => {} };
  }
  const short = await mkdtemp(join(tmpdir(), 'holdfast-'));
  return { directory: short, remove: () => rm(short, { recursive: true, force: true }) };
}

/** The process, and the last of what it says. */
class Running {
  hasEnded = false;
  said = '';
  readonly #process: HostProcess;
  readonly #done: Promise<void>;

  constructor(process: HostProcess) {
    this.#process = process;
    this.#done = this.#follow();
  }

  async stop(): Promise<void> {
    this.#process.kill();
    await this.#done;
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

async function awaitReady(source: Source, { host, title }: Place, socketPath: string, running: Running): Promise<void> {
  while (!running.hasEnded) {
    await source.clock.sleep(pollMs, { signal: source.signal });
    try {
      (await host.connect({ socketPath }, source.signal)).destroy();
      return;
    } catch {
      // Not listening yet; a server that ended is noticed by its process.
    }
  }
  throw new HoldfastError({
    code: 'drill.failed',
    message: `${title} does not start: ${complaint(running.said)}`,
    remedy: 'Start it by hand to see why; choose another with «serverProgram» or «image».',
  });
}

/** mongod logs one JSON document a line; errors and fatal ones count. */
function complaint(said: string): string {
  const lines = said.trim().split('\n');
  const grave = lines.filter((line) => /"s":"[EF]"/.test(line));
  return (grave.length > 0 ? grave : lines).slice(-2).join('; ').slice(-500);
}
