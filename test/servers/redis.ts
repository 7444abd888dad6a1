/**
 * Redis and Valkey servers of several releases, each on a free port and a Unix socket, in a folder of its own that goes with
 * it. Releases that are not installed are unpacked once into a cache (`fetch-redis.sh`).
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Argument, Connection, ErrorReply, type Reply } from '../../src/protocols/redis/connection.ts';
import { freePort } from './free-port.ts';

/** `installed` is what `redis-server` is here. */
export type RedisRelease = 'installed' | keyof typeof unpacked;

const unpacked = {
  'redis 6.0': { suite: 'bullseye', program: 'redis-server' },
  'redis 8': { suite: 'sid', program: 'redis-server' },
  'valkey 8': { suite: 'trixie', program: 'valkey-server' },
  'valkey 9': { suite: 'sid', program: 'valkey-server' },
} as const;

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('fetch-redis.sh', import.meta.url));

/** The program of a release; `undefined` where it cannot be had, which is an error where CI is set. */
export async function redisProgram(release: RedisRelease): Promise<string | undefined> {
  try {
    if (release === 'installed') {
      execFileSync('redis-server', ['--version']);
      return 'redis-server';
    }
    const { suite, program } = unpacked[release];
    const directory = join(cache, `${program}-${suite}`);
    const path = join(directory, 'bin', program);
    if (!existsSync(path)) await promisify(execFile)(script, [suite, program, directory]);
    return path;
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`${release} cannot be had here: ${String(error)}`);
    return undefined;
  }
}

export interface RedisOptions {
  readonly program?: string;
  readonly password?: string;
  /** The configuration file of a Sentinel, which has no data and no options about them. */
  readonly sentinel?: string;
  /** It is a node of a cluster (7.0 and newer). */
  readonly isNode?: boolean;
  /** More lines of its configuration, as arguments. */
  readonly options?: readonly string[];
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly #process: ChildProcess;
  readonly #password: string | undefined;
  readonly #connections: Connection[] = [];

  constructor(parts: { port: number; folder: string; process: ChildProcess; password: string | undefined }) {
    this.port = parts.port;
    this.folder = parts.folder;
    this.#process = parts.process;
    this.#password = parts.password;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get socketPath(): string {
    return join(this.folder, 'redis.sock');
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** A connection that is closed with the server. */
  async client(): Promise<RedisClient> {
    const connection = new Connection(await localHost().connect({ socketPath: this.socketPath }), this.url);
    this.#connections.push(connection);
    const client = new RedisClient(connection);
    if (this.#password !== undefined) await client.run('AUTH', this.#password);
    return client;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) await connection[Symbol.asyncDispose]();
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await once(this.#process, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class RedisClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Throws what the server refuses. */
  async run(...parts: readonly Argument[]): Promise<Reply> {
    const reply = await this.#connection.call(...parts);
    if (reply instanceof ErrorReply) throw new Error(`${parts.slice(0, 2).join(' ')}: ${reply.message}`);
    return reply;
  }

  async all(commands: readonly (readonly Argument[])[]): Promise<void> {
    for (const command of commands) await this.run(...command);
  }
}

/** Rejects with its log if it does not start. */
export async function startRedis({
  program = 'redis-server',
  password,
  sentinel,
  isNode = false,
  options = [],
}: RedisOptions = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-redis-'));
  const port = await freePort();
  const own = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--unixsocket',
    join(folder, 'redis.sock'),
    '--dir',
    folder,
  ];
  const quiet = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0'];
  const secret = password === undefined ? [] : ['--requirepass', password];
  // By itself a node also takes the port 10,000 above its own, which the kernel may have given to a connection.
  const node = isNode ? ['--cluster-enabled', 'yes', '--cluster-port', String(await freePort())] : [];
  const given = [...quiet, ...secret, ...node, ...options];
  const args = sentinel === undefined ? [...own, ...given] : [sentinel, '--sentinel', ...own];
  const process = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-8192);
    });
  }
  const server = new RedisServer({ port, folder, process, password });
  for (let attempt = 0; attempt < 3000 && process.exitCode === null; attempt++) {
    await setTimeout(20);
    const client = await server.client().catch(() => undefined);
    if (await client?.run('PING').catch(() => undefined)) return server;
  }
  await server[Symbol.asyncDispose]();
  throw new Error(`${program} does not start: ${said}`);
}
