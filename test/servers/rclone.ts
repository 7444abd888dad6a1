/** `rclone serve restic` and `rclone serve webdav`: real servers over a directory, on a free loopback port. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';

export interface RcloneServer extends AsyncDisposable {
  readonly port: number;
  /** What it logged so far. */
  log(): string;
  /** Ends it with every connection; it can be started again at the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface RcloneOptions {
  readonly protocol: 'restic' | 'webdav';
  readonly directory: string;
  readonly user?: string;
  readonly password?: string;
  /** Further options, e.g. `--append-only`. */
  readonly options?: readonly string[];
}

export async function startRclone(asked: RcloneOptions): Promise<RcloneServer> {
  const port = await freePort();
  const { protocol, directory, options = [] } = asked;
  // its options can be given as variables: nothing secret in the list of processes
  const { HTTP_PROXY: _1, HTTPS_PROXY: _2, http_proxy: _3, https_proxy: _4, ...rest } = process.env;
  const env = { ...rest, RCLONE_USER: asked.user ?? '', RCLONE_PASS: asked.password ?? '', RCLONE_CONFIG: '/dev/null' };
  const argv = ['serve', protocol, '--addr', `127.0.0.1:${port}`, ...options, directory];
  let child: ChildProcess | undefined;
  let log = '';
  const start = async (): Promise<void> => {
    const started = spawn('rclone', argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    let ended = '';
    started.on('error', (error) => {
      ended = error.message;
    });
    started.on('exit', () => {
      ended ||= log;
    });
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log += chunk.toString();
      });
    }
    while (!(await listens(port))) {
      if (ended !== '') throw new Error(`rclone ended: ${ended}`);
      await sleep(20);
    }
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  };
  await start();
  return { port, log: () => log, stop, start, [Symbol.asyncDispose]: stop };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
