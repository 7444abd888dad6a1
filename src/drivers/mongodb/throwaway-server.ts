/** A mongod of our own with an empty data directory: no port, no password, a Unix socket in a private directory. */
import { join } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import { endingWithUs, socketDirectory, ThrowawayProcess } from '../throwaway-process.ts';
import type { Place } from './programs.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export interface ThrowawayServer extends AsyncDisposable {
  readonly socketPath: string;
}

/** mongod makes a second socket beside ours, named by the port. */
const longestSocketName = 'mongodb-27017.sock';
const pollMs = 50;

/** Starts it and waits until it takes connections. `drill.failed` with what it says if it does not. */
export async function startServer(source: Source, place: Place): Promise<ThrowawayServer> {
  const sockets = await socketDirectory(place.host, place.directory, longestSocketName);
  try {
    const data = join(place.directory, 'data');
    await using target = await place.host.openTarget(place.directory, 'replace');
    await target.makeDirectory(data);
    await target.finish();
    const socketPath = join(sockets.path, 'mongod.sock');
    const argv = [place.program, '--dbpath', data, '--bind_ip', socketPath, '--port', '27017'];
    const process = await place.host.run({
      argv: endingWithUs(place.host, [...argv, '--unixSocketPrefix', sockets.path]),
      cwd: place.directory,
      signal: source.signal,
    });
    const running = new ThrowawayProcess(process);
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

async function awaitReady(
  source: Source,
  { host, title }: Place,
  socketPath: string,
  running: ThrowawayProcess,
): Promise<void> {
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
