/**
 * A server of our own that has loaded a dump: no port, a Unix socket in a private directory, nothing written to disk.
 *
 * Nothing expires in it, so that a copy can be compared exactly however long ago the backup was. A primary drops keys (and,
 * from 7.4 on, fields of hashes) whose time has passed while it loads them; a replica does not. So it starts as a replica of
 * port 0, to which nothing can ever be connected, and becomes a primary when active expiry has been switched off.
 */
import { join } from 'node:path';
import { utf8 } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Connection, ErrorReply, replyText } from '../../protocols/redis/connection.ts';
import type { SourceContext } from '../driver.ts';
import { endingWithUs, socketDirectory, ThrowawayProcess } from '../throwaway-process.ts';
import { dumpFile } from './backup.ts';
import type { Place } from './programs.ts';
import type { Settings } from './settings.ts';
import { compareVersions, serverTitle } from './versions.ts';

type Source = SourceContext<Settings>;

export interface ThrowawayServer extends AsyncDisposable {
  readonly socketPath: string;
}

/** Where the number of databases is unknown. */
const manyDatabases = 4096;
const fewestDatabases = 16;
const socketName = 'server.sock';
const pollMs = 20;

/** Starts it on the dump that lies in the place's directory, and waits until it has loaded it. `drill.failed` with what it says if it cannot. */
export async function startServer(
  source: Source,
  place: Place,
  databases: number | undefined,
): Promise<ThrowawayServer> {
  const sockets = await socketDirectory(place.host, place.directory, socketName);
  const socketPath = join(sockets.path, socketName);
  const configuration = join(place.directory, 'server.conf');
  try {
    await using target = await place.host.openTarget(place.directory, 'replace');
    await target.writeWhole(configuration, utf8(configurationOf(place, socketPath, databases)));
    await target.finish();
    const argv = endingWithUs(place.host, [place.program, configuration]);
    const process = await place.host.run({ argv, cwd: place.directory, signal: source.signal });
    const running = new ThrowawayProcess(process);
    try {
      await awaitLoaded(source, place, socketPath, running);
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

function configurationOf({ directory, server }: Place, socketPath: string, databases: number | undefined): string {
  const lines = [
    'port 0',
    `unixsocket ${quoted(socketPath)}`,
    'unixsocketperm 700',
    `dir ${quoted(directory)}`,
    `dbfilename ${dumpFile}`,
    `databases ${databases === undefined ? manyDatabases : Math.max(fewestDatabases, databases)}`,
    'save ""',
    'appendonly no',
    'daemonize no',
    'protected-mode no',
    'replicaof 127.0.0.1 0',
    'repl-diskless-sync yes',
    'repl-diskless-sync-delay 0',
  ];
  const hasDebugSwitch = server.product === 'valkey' || compareVersions(server.version, '7.0') >= 0;
  return `${[...lines, ...(hasDebugSwitch ? ['enable-debug-command local'] : [])].join('\n')}\n`;
}

function quoted(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&')}"`;
}

async function awaitLoaded(source: Source, place: Place, socketPath: string, running: ThrowawayProcess): Promise<void> {
  while (!running.hasEnded) {
    await source.clock.sleep(pollMs, { signal: source.signal });
    const connection = await tryConnect(source, place, socketPath);
    if (!connection) continue;
    await using open = connection;
    const reply = await open.call('PING').catch(() => undefined);
    if (reply === undefined || (reply instanceof ErrorReply && reply.kind === 'LOADING')) continue;
    await freeze(open);
    return;
  }
  throw new HoldfastError({
    code: 'drill.failed',
    message: `${serverTitle(place.server)} does not load the data: ${complaint(running.said)}`,
    remedy:
      'If it names a module, drills need a server that has it (serverProgram, image). Otherwise check the repository, and back up again.',
  });
}

async function tryConnect(source: Source, place: Place, socketPath: string): Promise<Connection | undefined> {
  try {
    return new Connection(await place.host.connect({ socketPath }, source.signal), 'the throwaway server');
  } catch {
    // Not listening yet; a server that ended is noticed by its process.
    return undefined;
  }
}

async function freeze(connection: Connection): Promise<void> {
  for (const command of [
    ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
    ['REPLICAOF', 'NO', 'ONE'],
  ]) {
    const reply = await connection.call(...command);
    if (reply !== 'OK') {
      throw new HoldfastError({
        code: 'drill.failed',
        message: `the throwaway server refuses ${command.join(' ')}: ${replyText(reply)}`,
        remedy: 'Use a server program that is built as usual (serverProgram, image).',
      });
    }
  }
}

/** Its last lines that warn, without time and process. */
function complaint(said: string): string {
  const lines = said.split('\n').filter((line) => / # |\*\*\*|rror|ailed|FATAL/.test(line));
  const chosen = (lines.length > 0 ? lines : said.trim().split('\n')).slice(-3);
  return chosen.map((line) => line.replace(/^\S+ \d+ \w+ \d+ [\d:.]+ [#*] /, '').trim()).join('; ');
}
