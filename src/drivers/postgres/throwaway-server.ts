/** A server of our own: on a Unix socket in a private folder, as an ordinary user, gone when it is disposed or its parent dies. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import type { Throwaway } from '../driver.ts';
import { socketDirectory, ThrowawayProcess } from '../throwaway-process.ts';
import { explainProgram } from './failures.ts';
import { throwawayRole } from './fingerprint.ts';
import type { Source } from './place.ts';
import { findPrograms, output, type Programs, programIn } from './programs.ts';
import { openSession } from './session.ts';
import { settings } from './settings.ts';

export interface ThrowawayServer extends AsyncDisposable {
  /** How sessions and programs reach it. */
  readonly source: Source;
  readonly host: Host;
  /** On `host`. */
  readonly directory: string;
  readonly socketDirectory: string;
  readonly role: string;
  readonly major: number;
  readonly title: string;
  /** The same error, or why the server is gone if that is what is behind it. */
  explain(error: unknown): Promise<unknown>;
}

const port = 5432;
const folderInContainer = '/var/lib/holdfast';
const startPolls = 1500;
const pollMs = 40;
/** A server that crashed has ended by then. */
const crashMs = 5000;

/** `host.command-missing` if there is no server of the dump's version or newer; `drill.failed` if it does not start. */
export async function startThrowawayServer(
  source: Source,
  throwaway: Throwaway,
  major: number,
): Promise<ThrowawayServer> {
  await using opening = new AsyncDisposableStack();
  const place = opening.use(await findPlace(source, throwaway, major));
  const { host, programs, directory } = place;
  const user = await ordinaryUser(host, source);
  await makePrivate(host, source, [directory], user);
  await requireAccess(host, source, directory, user);
  const sockets = await socketDirectory(host, directory, `.s.PGSQL.${port}`);
  opening.defer(sockets.remove);
  await makePrivate(host, source, [sockets.path], user);
  const role = `${throwawayRole}${randomBytes(8).toString('hex')}`;
  const data = `${directory}/data`;
  await must(host, source, [
    ...user.prefix,
    programIn(programs, 'initdb'),
    '--pgdata',
    data,
    '--username',
    role,
    '--auth=trust',
    '--encoding=UTF8',
    '--no-locale',
    '--no-sync',
  ]);
  const process = await host.run({
    argv: [
      ...user.guarded,
      programIn(programs, 'postgres'),
      '-D',
      data,
      ...serverOptions(sockets.path, programs.major),
    ],
    env: { LC_ALL: 'C' },
    cwd: directory,
    signal: source.signal,
  });
  const running = new ThrowawayProcess(process);
  opening.defer(async () => {
    if (!running.hasEnded) await stopKindly(host, source, [...user.prefix, programIn(programs, 'pg_ctl')], data);
    await running.stop();
  });
  await process.endInput();
  const { image: _, ...kept } = source.settings;
  const own = settings.parse({
    url: `postgres://${role}@localhost:${port}/template1`,
    socket: sockets.path,
    tls: { mode: 'disable' },
    jobs: kept.jobs,
  });
  const copy: Source = { ...source, host, settings: { ...own, binDirectory: kept.binDirectory } };
  await awaitStart(copy, running);
  const opened = opening.move();
  return {
    source: copy,
    host,
    directory,
    socketDirectory: sockets.path,
    role,
    major: programs.major,
    title: place.title,
    explain: async (error) =>
      hasCode(error, 'host.unreachable') ? ((await failureOf(running, copy.clock)) ?? error) : error,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

interface ServerPlace extends AsyncDisposable {
  readonly host: Host;
  readonly programs: Programs;
  readonly directory: string;
  readonly title: string;
}

async function findPlace(source: Source, throwaway: Throwaway, major: number): Promise<ServerPlace> {
  const wanted = { program: 'postgres', atLeast: major, prefer: major } as const;
  const found = source.settings.image === undefined ? await findPrograms(throwaway.host, source, wanted) : undefined;
  if (found?.best) {
    const title = `PostgreSQL ${found.best.version} from ${found.best.directory || 'PATH'}`;
    return {
      host: throwaway.host,
      programs: found.best,
      directory: throwaway.directory,
      title,
      async [Symbol.asyncDispose]() {},
    };
  }
  if (!throwaway.containers) {
    throw new HoldfastError({
      code: 'host.command-missing',
      message: `a drill needs the server programs of PostgreSQL ${major} or newer, and there are none on this machine`,
      remedy: `Install them (apt install postgresql-${major}), name their directory under «binDirectory», or make a container engine available.`,
    });
  }
  const image = source.settings.image ?? `docker.io/library/postgres:${major}`;
  const container = await throwaway.containers.start({ image, argv: ['sleep', 'infinity'], signal: source.signal });
  try {
    const { best } = await findPrograms(container.host, source, wanted);
    if (!best) {
      throw new HoldfastError({
        code: 'host.command-missing',
        message: `the image ${image} has no server programs of PostgreSQL ${major} or newer`,
        remedy: 'Name another one under «image».',
      });
    }
    await must(container.host, source, ['mkdir', '-p', folderInContainer]);
    const title = `PostgreSQL ${best.version} (image ${image} in ${throwaway.containers.title})`;
    return {
      host: container.host,
      programs: best,
      directory: folderInContainer,
      title,
      [Symbol.asyncDispose]: () => container[Symbol.asyncDispose](),
    };
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
}

interface OrdinaryUser {
  /** Its id; absent where we are an ordinary user ourselves. */
  readonly id?: string;
  readonly group?: string;
  readonly prefix: readonly string[];
  /** The same, ended by the kernel when its parent dies. */
  readonly guarded: readonly string[];
}

/** PostgreSQL refuses to run as root. */
async function ordinaryUser(host: Host, source: Source): Promise<OrdinaryUser> {
  const diesWithUs = (await tryRun(host, source, ['setpriv', '--pdeathsig', 'QUIT', 'true'])).isFine
    ? ['--pdeathsig', 'QUIT']
    : [];
  if ((await tryRun(host, source, ['id', '-u'])).said !== '0') {
    return { prefix: [], guarded: diesWithUs.length > 0 ? ['setpriv', ...diesWithUs, '--'] : [] };
  }
  for (const name of ['postgres', 'nobody']) {
    const [{ said: id, isFine }, { said: group }] = [
      await tryRun(host, source, ['id', '-u', name]),
      await tryRun(host, source, ['id', '-g', name]),
    ];
    if (!isFine) continue;
    const change = ['setpriv', '--reuid', id, '--regid', group, '--clear-groups'];
    if ((await tryRun(host, source, [...change, '--', 'true'])).isFine) {
      return { id, group, prefix: [...change, '--'], guarded: [...change, ...diesWithUs, '--'] };
    }
    for (const other of [
      ['runuser', '-u', name, '--'],
      ['su-exec', name],
      ['gosu', name],
    ]) {
      if ((await tryRun(host, source, [...other, 'true'])).isFine) return { id, group, prefix: other, guarded: other };
    }
  }
  throw new HoldfastError({
    code: 'host.command-missing',
    message: 'PostgreSQL does not run as root, and there is no way here to run it as another user',
    remedy: 'Install setpriv (package util-linux), or run the drill as an ordinary user.',
  });
}

async function makePrivate(
  host: Host,
  source: Source,
  directories: readonly string[],
  { id, group }: OrdinaryUser,
): Promise<void> {
  await must(host, source, ['chmod', '700', ...directories]);
  if (id !== undefined) await must(host, source, ['chown', `${id}:${group}`, ...directories]);
}

async function requireAccess(host: Host, source: Source, directory: string, user: OrdinaryUser): Promise<void> {
  if ((await tryRun(host, source, [...user.prefix, 'test', '-w', directory])).isFine) return;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `the user that PostgreSQL is to run as may not enter ${directory}`,
    remedy: 'Give a place whose directories everybody may enter, for example: holdfast drill SOURCE --place /var/tmp',
  });
}

/** It may lose everything when the machine fails: it is gone afterwards anyway. Arguments for `postgres` of a major version. */
export function serverOptions(sockets: string, major: number): string[] {
  const options = {
    listen_addresses: '',
    unix_socket_directories: sockets,
    unix_socket_permissions: '0700',
    port,
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_wal_size: '4GB',
    maintenance_work_mem: '256MB',
    max_connections: 100,
    max_locks_per_transaction: 1024,
    // A crash is told, not hidden.
    restart_after_crash: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_min_messages: 'warning',
    log_statement: 'none',
    // One that notes who connects would change what is compared.
    ...(major >= 17 && { event_triggers: 'off' }),
  };
  return Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Why it ended by itself; `undefined` if it runs. */
async function failureOf(running: ThrowawayProcess, clock: Clock): Promise<HoldfastError | undefined> {
  await Promise.race([running.ended, clock.sleep(crashMs, { background: true })]);
  if (!running.hasEnded) return undefined;
  const panics = running.said.split('\n').filter((line) => /PANIC|FATAL/.test(line));
  return explainProgram(panics.join('\n') || running.said, 'go on with the throwaway server', 'drill.failed');
}

/** Lets it remove its shared memory; if this fails, it is killed. */
async function stopKindly(host: Host, source: Source, program: readonly string[], data: string): Promise<void> {
  const signal = new AbortController().signal;
  await tryRun(host, { ...source, signal }, [...program, 'stop', '-D', data, '-m', 'immediate', '-w', '-t', '20']);
}

async function awaitStart(copy: Source, running: ThrowawayProcess): Promise<void> {
  for (let i = 0; i < startPolls && !running.hasEnded; i++) {
    await copy.clock.sleep(pollMs, { signal: copy.signal });
    try {
      await using session = await openSession(copy);
      // A source may have one of this name; ours works from template1.
      await session.query('DROP DATABASE postgres');
      return;
    } catch (error) {
      throwIfCancelled(copy.signal);
      if (!hasCode(error, 'host.unreachable', 'source.busy')) throw error;
    }
  }
  throw new HoldfastError({
    code: 'drill.failed',
    message: `the throwaway server does not start: ${running.said.trim().split('\n').slice(-3).join('; ')}`,
    remedy: 'Check disk space and shared memory of this machine.',
  });
}

async function tryRun(
  host: Host,
  source: Pick<Source, 'signal'>,
  argv: readonly string[],
): Promise<{ isFine: boolean; said: string }> {
  try {
    const { status, stdout } = await output(host, argv, source.signal);
    return { isFine: status === 0, said: stdout.trim() };
  } catch (error) {
    if (hasCode(error, 'host.command-missing', 'host.command-failed')) return { isFine: false, said: '' };
    throw error;
  }
}

async function must(host: Host, source: Source, argv: readonly string[]): Promise<void> {
  const { status, stdout, stderr } = await output(host, argv, source.signal, { cwd: '/', env: { LC_ALL: 'C' } });
  if (status === 0) return;
  const lines = `${stdout}\n${stderr}`.trim().split('\n');
  // initdb says last what it removes, not what went wrong.
  const reasons = lines.filter((line) => /\b(FATAL|PANIC|ERROR|error|could not)\b/.test(line));
  const said = (reasons.length > 0 ? reasons : lines).slice(-3).join('; ');
  throw new HoldfastError({
    code: 'drill.failed',
    message: `${argv.find((word) => /initdb|chown|chmod|mkdir/.test(word)) ?? argv[0]} failed: ${said}`,
    remedy: 'Check disk space and permissions of the drill’s directory.',
  });
}
