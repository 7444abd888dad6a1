/**
 * A server of our own that has loaded a dump: no port, a Unix socket in a private directory, nothing written to disk.
 *
 * Nothing expires in it, so that a copy can be compared exactly however long ago the backup was. A primary drops keys (and,
 * from 7.4 on, fields of hashes) whose time has passed while it loads them; a replica does not. So it starts as a replica of
 * port 0, to which nothing can ever be connected, and becomes a primary when active expiry has been switched off.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../base/bytes.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { HostProcess } from '../../hosts/host.ts';
import { Connection, ErrorReply, replyText } from '../../protocols/redis/connection.ts';
import type { SourceContext } from '../driver.ts';
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
/** The kernel takes 107 bytes. */
const longestSocketPath = 100;
const pollMs = 20;
const keptOutput = 16 * 1024;

/** Starts it on the dump that lies in the place's directory, and waits until it has loaded it. `drill.failed` with what it says if it cannot. */
export async function startServer(
  source: Source,
  place: Place,
  databases: number | undefined,
): Promise<ThrowawayServer> {
  const sockets = await socketDirectory(place);
  const socketPath = join(sockets.directory, 'server.sock');
  const configuration = join(place.directory, 'server.conf');
  try {
    await using target = await place.host.openTarget(place.directory, 'replace');
    await target.writeWhole(configuration, utf8(configurationOf(place, socketPath, databases)));
    await target.finish();
    const argv = guarded(place, [place.program, configuration]);
    const process = await place.host.run({ argv, cwd: place.directory, signal: source.signal });
    const running = new Running(process);
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

/** Runs its arguments, and kills them when nothing holds its input open any more: no server outlives a killed Holdfast. */
const guard = [
  'exec 3<&0',
  '"$@" </dev/null 3<&- & server=$!',
  '{ cat <&3 >/dev/null 2>&1; kill -9 "$server"; } >/dev/null 2>&1 & watch=$!',
  'exec 3<&- </dev/null',
  'wait "$server"; status=$?',
  'kill -9 "$watch" 2>/dev/null; exit "$status"',
].join('\n');

/** A container goes with everything in it. */
function guarded({ host }: Place, argv: readonly string[]): readonly string[] {
  return host.kind === 'local' ? ['sh', '-c', guard, 'sh', ...argv] : argv;
}

/** A socket's path has to be short, the throwaway's may be long. */
async function socketDirectory({
  host,
  directory,
}: Place): Promise<{ directory: string; remove: () => Promise<void> }> {
  if (host.kind !== 'local' || Buffer.byteLength(directory) <= longestSocketPath - '/server.sock'.length) {
    return { directory, remove: async () => {} };
  }
  const short = await mkdtemp(join(tmpdir(), 'holdfast-'));
  return { directory: short, remove: () => rm(short, { recursive: true, force: true }) };
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

async function awaitLoaded(source: Source, place: Place, socketPath: string, running: Running): Promise<void> {
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
