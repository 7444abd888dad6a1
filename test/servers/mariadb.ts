/** A real MariaDB on a free loopback port and a socket, in a private folder. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import mysql from 'mysql2/promise';
import { freePort } from './free-port.ts';

export interface DatabaseServer extends AsyncDisposable {
  readonly port: number;
  readonly socket: string;
  /** Of `root`, from anywhere. */
  readonly password: string;
  /** With its data and its log. */
  readonly folder: string;
  /** A connection as root. */
  connect(database?: string): Promise<mysql.Connection>;
  /** Runs statements, one a list item. */
  run(...statements: readonly string[]): Promise<void>;
  /** Ends it at once, as a crash does; its folder stays until it is disposed. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, and waits until it answers. */
  restart(): Promise<void>;
}

export interface ServerOptions {
  /** Further arguments of the server. */
  readonly arguments?: readonly string[];
}

export const rootPassword = 'a "strange" p@ss \\ wörd';

/** The lines a server is told at its first start. */
export function firstStatements(): string {
  const literal = rootPassword.replaceAll('\\', '\\\\');
  return `DROP USER IF EXISTS root@'127.0.0.1', root@'::1';\nCREATE USER root@'%' IDENTIFIED BY '${literal}';\nGRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION;\nALTER USER root@localhost IDENTIFIED BY '${literal}';\n`;
}

export async function startMariadb(options: ServerOptions = {}): Promise<DatabaseServer> {
  const program = ['/usr/sbin/mariadbd', '/usr/libexec/mariadbd'].find((path) => existsSync(path));
  if (!program) throw new Error('mariadbd is not installed: apt-get install mariadb-server');
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-mariadb-'));
  try {
    const data = join(folder, 'data');
    mkdirSync(data);
    // or servers that start at once remove each other's temporary tables
    const user = [`--tmpdir=${folder}`, ...(process.getuid?.() === 0 ? ['--user=root'] : [])];
    const plain = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
    execFileSync('mariadb-install-db', ['--no-defaults', ...user, `--datadir=${data}`, ...plain], { stdio: 'pipe' });
    writeFileSync(join(folder, 'first.sql'), firstStatements());
    const port = await freePort();
    const argv = [
      ...[program, '--no-defaults', ...user, `--datadir=${data}`, `--socket=${folder}/s`, `--port=${port}`],
      ...[`--pid-file=${folder}/pid`, `--log-error=${folder}/log`, `--init-file=${folder}/first.sql`],
      ...['--bind-address=127.0.0.1', '--skip-name-resolve', '--log-bin=binlog', '--server-id=7'],
      ...['--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=64M', ...(options.arguments ?? [])],
    ];
    return await startServer({ folder, port, argv });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** The folder with the engine FEDERATED, for `--plugin-dir`: the servers of mariadb-server-core come without it. */
export function mariadbPlugins(): string {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests', 'mariadb-plugins');
  const script = fileURLToPath(new URL('fetch-from-package.sh', import.meta.url));
  const wanted = ['mariadb-server', './usr/lib/mysql/plugin/ha_federatedx.so'];
  return dirname(execFileSync(script, [cache, ...wanted], { encoding: 'utf8' }).trim());
}

/** Starts the program and waits until it answers. */
export async function startServer(start: {
  readonly folder: string;
  readonly port: number;
  readonly argv: readonly string[];
}): Promise<DatabaseServer> {
  const { folder, port, argv } = start;
  let child = spawn(argv[0], argv.slice(1), { stdio: 'ignore' });
  const connect = (database?: string): Promise<mysql.Connection> =>
    mysql.createConnection({
      host: '127.0.0.1',
      port,
      user: 'root',
      password: rootPassword,
      database,
      charset: 'utf8mb4',
    });
  const kill = (): Promise<void> => endProcess(child);
  try {
    await answering(child, connect, folder);
  } catch (error) {
    await kill();
    throw error;
  }
  return {
    ...{ port, folder, connect, kill, socket: join(folder, 's'), password: rootPassword },
    async restart() {
      // what the first start was told is kept
      const again = argv.slice(1).filter((one) => !one.startsWith('--init-file='));
      child = spawn(argv[0], again, { stdio: 'ignore' });
      await answering(child, connect, folder);
    },
    async run(...statements) {
      const connection = await connect();
      try {
        for (const sql of statements) await connection.query(sql);
      } finally {
        await connection.end();
      }
    },
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function answering(child: ChildProcess, connect: () => Promise<mysql.Connection>, folder: string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) break;
    try {
      await (await connect()).end();
      return;
    } catch {
      await sleep(50);
    }
  }
  const log = existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').slice(-2000) : '';
  throw new Error(`the server does not start: ${log}`);
}
