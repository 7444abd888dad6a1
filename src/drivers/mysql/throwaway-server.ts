/**
 * An empty server for a drill: the program on this machine in a private directory, listening on a socket only; else a
 * container. It ends with this process, whatever happens to it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { Host, HostProcess } from '../../hosts/host.ts';
import type { SourceContext, Throwaway } from '../driver.ts';
import { endingWithUs, socketDirectory } from '../throwaway-process.ts';
import { type Flavour, isAtLeast, productName, versionNumbers } from './server.ts';
import { openSessionAt, type Session } from './session.ts';
import type { Place, Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export interface ThrowawayServer extends AsyncDisposable {
  /** What it runs in, for people. */
  readonly title: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Programs of this machine do not reach it. */
  readonly isApart: boolean;
  open(): Promise<Session>;
}

/** The server a dump came from. */
export interface Origin {
  readonly flavour: Flavour;
  readonly version: string;
  readonly lowerCaseTableNames: number;
}

export const administrator = 'holdfast_drill';

const startMs = 60_000;

/** `host.command-missing` where neither a program nor a container engine can run it. */
export async function startServer(source: Source, throwaway: Throwaway, origin: Origin): Promise<ThrowawayServer> {
  const program = await findProgram(source, throwaway.host, origin);
  if (program) return await startProgram(source, throwaway, { program, origin });
  if (throwaway.containers) return await startContainer(source, throwaway, origin);
  const wanted = `${productName[origin.flavour]} ${seriesOf(origin)} or newer`;
  throw new HoldfastError({
    code: 'host.command-missing',
    message: `a drill needs the server program of ${wanted} on this machine, or a container engine`,
    remedy: `Install it (apt: ${origin.flavour === 'mariadb' ? 'mariadb-server' : 'mysql-server-core'}; it need not run), name its folder in «binDirectory», or make Docker or Podman reachable.`,
  });
}

interface Program {
  readonly path: string;
  readonly version: string;
}

const names: Readonly<Record<Flavour, readonly string[]>> = { mariadb: ['mariadbd', 'mysqld'], mysql: ['mysqld'] };

/** A program of the same product that is not older: by `--version`, not by its name. */
async function findProgram(source: Source, host: Host, origin: Origin): Promise<Program | undefined> {
  const { binDirectory } = source.settings;
  const folders = binDirectory === undefined ? ['', '/usr/sbin/', '/usr/libexec/'] : [`${binDirectory}/`];
  const [major, minor] = versionNumbers(origin.version);
  for (const path of names[origin.flavour].flatMap((name) => folders.map((folder) => `${folder}${name}`))) {
    const version = await versionOf(host, path, source.signal);
    if (version === undefined || /mariadb/i.test(version) !== (origin.flavour === 'mariadb')) continue;
    const found = /Ver (\S+)/.exec(version)?.[1] ?? '';
    if (isAtLeast(versionNumbers(found), major, minor)) return { path, version: found };
  }
  return undefined;
}

async function versionOf(host: Host, path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const process = await host.run({ argv: [path, '--no-defaults', '--version'], signal });
    const text = await outputOf(process);
    return (await process.exit).status === 0 ? text : undefined;
  } catch (error) {
    if (hasCode(error, 'host.command-missing', 'host.command-failed')) return undefined;
    throw error;
  }
}

async function outputOf(process: HostProcess): Promise<string> {
  await process.endInput();
  const parts: Uint8Array[] = [];
  for await (const part of process.stdout) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

interface Start {
  readonly program: Program;
  readonly origin: Origin;
}

async function startProgram(source: Source, { directory, host }: Throwaway, start: Start): Promise<ThrowawayServer> {
  const sockets = await socketDirectory(host, directory, 's');
  const password = randomBytes(24).toString('hex');
  const socketPath = join(sockets.path, 's');
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, source.signal]);
  try {
    await initialize(host, directory, start, signal);
    const argv = serverArguments(directory, socketPath, start);
    const process = await host.run({ argv: endingWithUs(host, argv), signal });
    const ended = drain(process);
    const fresh = { address: { socketPath }, hostName: 'localhost', title: 'the drill’s server', user: 'root' };
    const place = { ...fresh, user: administrator };
    await using first = await untilReady(source, ended, () => openSessionAt({ host, place: fresh, signal }), directory);
    await makeAdministrator(first, password, 'localhost');
    const open = () => openSessionAt({ host, place, password, signal });
    return {
      title: `${productName[start.origin.flavour]} ${start.program.version} from ${start.program.path}`,
      environment: await environmentOf(place, { directory, socketPath, password }),
      isApart: false,
      open,
      async [Symbol.asyncDispose]() {
        stop.abort();
        await ended;
        await sockets.remove();
      },
    };
  } catch (error) {
    stop.abort();
    await sockets.remove();
    throw error;
  }
}

/**
 * Where client programs find the copy. Option files outdo the environment, and those of the machine may name its own server
 * (Debian’s name its socket): the last one that is read, in the home folder, has to be ours. The password is in no file.
 */
async function environmentOf(
  { user }: Pick<Place, 'user'>,
  { directory, socketPath, password }: { directory: string; socketPath: string; password: string },
): Promise<Record<string, string>> {
  const home = join(directory, 'home');
  const options = { protocol: 'socket', host: 'localhost', socket: socketPath, user };
  const lines = Object.entries(options).map(([name, value]) => `${name} = "${value}"`);
  await mkdir(home, { mode: 0o700 });
  await writeFile(join(home, '.my.cnf'), ['[client]', ...lines, ''].join('\n'), { mode: 0o600, flag: 'wx' });
  return {
    HOME: home,
    HOLDFAST_COPY_SOCKET: socketPath,
    HOLDFAST_COPY_USER: user,
    HOLDFAST_COPY_PASSWORD: password,
    MYSQL_UNIX_PORT: socketPath,
    MYSQL_PWD: password,
  };
}

async function initialize(
  host: Host,
  directory: string,
  { program, origin }: Start,
  signal: AbortSignal,
): Promise<void> {
  const data = join(directory, 'data');
  // A server removes temporary tables in its tmpdir when it starts: in /tmp these may be another server's.
  const common = [`--tmpdir=${directory}`, ...(userInfo().uid === 0 ? ['--user=root'] : [])];
  const lower = `--lower-case-table-names=${origin.lowerCaseTableNames}`;
  let argv: string[];
  if (origin.flavour === 'mysql') {
    argv = [program.path, '--no-defaults', ...common, lower, `--datadir=${data}`, '--initialize-insecure'];
  } else {
    await mkdir(data, { mode: 0o700 });
    const installer = program.path.includes('/')
      ? await firstPresent(host, program.path, signal)
      : 'mariadb-install-db';
    const plain = ['--auth-root-authentication-method=normal', '--skip-test-db'];
    argv = [installer, '--no-defaults', ...common, `--datadir=${data}`, ...plain];
  }
  const process = await host.run({ argv, signal });
  const said = await outputOf(process);
  const { status, stderr } = await process.exit;
  if (status === 0) return;
  throw notStarted(`${argv[0]} ended with status ${status}: ${`${stderr}\n${said}`.trim().slice(-600)}`);
}

/** The installer is beside the server, or in `bin` beside its `sbin`. */
async function firstPresent(host: Host, server: string, signal: AbortSignal): Promise<string> {
  const folder = server.slice(0, server.lastIndexOf('/'));
  const candidates = [`${folder}/mariadb-install-db`, `${folder.replace(/\/s?bin$/, '')}/bin/mariadb-install-db`];
  for (const path of candidates) {
    if (await host.files.attributes(path).catch(() => undefined)) return path;
  }
  signal.throwIfAborted();
  return 'mariadb-install-db';
}

function serverArguments(directory: string, socketPath: string, { program, origin }: Start): string[] {
  const mariadb = origin.flavour === 'mariadb';
  return [
    program.path,
    '--no-defaults',
    ...(userInfo().uid === 0 ? ['--user=root'] : []),
    `--datadir=${join(directory, 'data')}`,
    `--socket=${socketPath}`,
    `--pid-file=${join(directory, 'pid')}`,
    `--tmpdir=${directory}`,
    `--log-error=${join(directory, 'log.err')}`,
    `--lower-case-table-names=${origin.lowerCaseTableNames}`,
    '--skip-networking',
    // Restored events must not act in a copy.
    `--event-scheduler=${mariadb ? 'OFF' : 'DISABLED'}`,
    '--skip-log-bin',
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-doublewrite=0',
    '--max-allowed-packet=1G',
    '--secure-file-priv=',
    ...(mariadb ? [] : ['--mysqlx=OFF']),
  ];
}

/** An account of our own, with all that root has, so that it can grant it: those of the snapshot replace every other. */
async function makeAdministrator(root: Session, password: string, from: string): Promise<void> {
  const account = `${administrator}@'${from}'`;
  await root.run(
    `CREATE USER ${account} IDENTIFIED BY '${password}'`,
    `GRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION`,
  );
  for (const [grant] of await root.table('SHOW GRANTS')) {
    const proxy = /^GRANT PROXY ON \S+ TO /.exec(grant ?? '');
    if (proxy) await root.run(`${proxy[0]}${account} WITH GRANT OPTION`);
  }
}

async function drain(process: HostProcess): Promise<void> {
  try {
    for await (const _ of process.stdout) {
      // it logs to a file
    }
  } catch {
    // stopped by us
  }
  await process.exit;
}

async function untilReady(
  { clock, signal }: Source,
  ended: Promise<void>,
  open: () => Promise<Session>,
  directory: string,
): Promise<Session> {
  let running = true;
  ended.then(
    () => {
      running = false;
    },
    () => {},
  );
  const deadlineMs = clock.monotonicMs() + startMs;
  let last = '';
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (hasCode(error, 'cancelled')) throw error;
      last = messageOf(error);
    }
    if (!running || clock.monotonicMs() > deadlineMs) break;
    await clock.sleep(50, { signal });
  }
  const log = await readFile(join(directory, 'log.err'), 'utf8').catch(() => '');
  const said = log.trim().split('\n').slice(-4).join(' ').slice(-600);
  throw notStarted(`it does not ${said === '' ? `answer: ${last}` : `start: ${said}`}`);
}

function notStarted(why: string): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the server for the drill failed: ${why}`,
    remedy:
      'Check that there is room for a copy in the drill’s directory, and that AppArmor or SELinux let the program use it.',
  });
}

function seriesOf({ version }: Origin): string {
  return versionNumbers(version).slice(0, 2).join('.');
}

/** The official images: their first, temporary server has no network, so an answer over it is the real one. */
async function startContainer(source: Source, { containers }: Throwaway, origin: Origin): Promise<ThrowawayServer> {
  const image = source.settings.image ?? `docker.io/library/${origin.flavour}:${seriesOf(origin)}`;
  const password = randomBytes(24).toString('hex');
  const prefix = origin.flavour === 'mariadb' ? 'MARIADB' : 'MYSQL';
  const container = await containers!.start({
    image,
    env: { [`${prefix}_ROOT_PASSWORD`]: password, [`${prefix}_ROOT_HOST`]: '%' },
    argv: [
      `--lower-case-table-names=${origin.lowerCaseTableNames}`,
      '--event-scheduler=OFF',
      '--skip-log-bin',
      '--max-allowed-packet=1G',
    ],
    signal: source.signal,
  });
  try {
    const address = { host: '127.0.0.1', port: 3306 };
    const place = { address, hostName: '127.0.0.1', title: `the container of ${image}`, user: 'root' };
    const open = () => openSessionAt({ host: container.host, place, password, signal: source.signal });
    await using root = await untilReady(source, new Promise(() => {}), open, '/nonexistent');
    await makeAdministrator(root, password, '%');
    return {
      title: `container of ${image}`,
      environment: {},
      isApart: true,
      open: () =>
        openSessionAt({
          host: container.host,
          place: { ...place, user: administrator },
          password,
          signal: source.signal,
        }),
      [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
    };
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
}
