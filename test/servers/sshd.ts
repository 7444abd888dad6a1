/** A real sshd on a free loopback port, with keys of its own, in a private folder. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess } from '../support/end-process.ts';
import { freePort } from './free-port.ts';

export interface Sshd extends AsyncDisposable {
  readonly user: string;
  readonly port: number;
  /** For `ssh:` of a host. */
  readonly address: string;
  /** Of its host keys, of the keys that may sign in, and what else a test puts there. */
  readonly folder: string;
  /** A private key that may sign in. */
  readonly key: string;
  readonly knownHosts: string;
  /** The public host key: type and base64. */
  readonly hostKey: string;
  /** What it logged so far. */
  log(): string;
  /** Process ids of the processes that serve connections. */
  serving(): number[];
  /** Ends it with every connection; the folder stays until it is disposed. */
  stop(): Promise<void>;
  /** Starts it again at the same port. */
  start(): Promise<void>;
}

export interface SshdOptions {
  /** Lines for sshd_config. */
  readonly config?: readonly string[];
  /** `ed25519` if not given. */
  readonly hostKeyType?: 'ed25519' | 'ecdsa' | 'rsa';
}

/** Runs as whoever runs the tests; as root, `/run/sshd` is made, which it insists on. */
export async function startSshd({ config = [], hostKeyType = 'ed25519' }: SshdOptions = {}): Promise<Sshd> {
  const program = '/usr/sbin/sshd';
  if (!existsSync(program)) throw new Error('sshd is not installed: apt-get install openssh-server');
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-sshd-'));
  chmodSync(folder, 0o755);
  const user = userInfo().username;
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  makeKey(join(folder, 'host'), { type: hostKeyType });
  makeKey(join(folder, 'user'));
  const hostKey = publicKey(join(folder, 'host'));
  writeFileSync(join(folder, 'authorized'), readFileSync(join(folder, 'user.pub')));
  const file = join(folder, 'sshd_config');
  writeFileSync(
    file,
    [
      ...config, // the first value of a key counts
      'ListenAddress 127.0.0.1',
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/authorized`,
      `PidFile ${folder}/pid`,
      'StrictModes no',
      'UsePAM no',
      'LogLevel VERBOSE',
      'PermitRootLogin yes',
      'PrintMotd no',
      'SetEnv SHLVL=2', // bash, as a login shell over SSH, then leaves the ~/.bashrc of whoever runs the tests alone
      'Subsystem sftp internal-sftp',
      '',
    ].join('\n'),
  );
  let log = '';
  let daemon: ChildProcess | undefined;
  /** False if somebody else has the port by now. */
  const startAt = async (port: number): Promise<boolean> => {
    const from = log.length;
    const child = spawn(program, ['-D', '-e', '-f', file, '-p', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
    daemon = child;
    return await new Promise((resolve, reject) => {
      child.once('exit', () => {
        if (/Address already in use/.test(log.slice(from))) resolve(false);
        else reject(new Error(`sshd ended: ${log.slice(from)}`));
      });
      child.stderr.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (log.slice(from).includes(`Server listening on 127.0.0.1 port ${port}.`)) resolve(true);
      });
    });
  };
  const port = await startSomewhere(startAt);
  writeFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}\n`);
  const start = async (): Promise<void> => {
    for (let attempt = 0; !(await startAt(port)); attempt++) {
      if (attempt > 100) throw new Error(`port ${port} was taken`);
      await sleep(50);
    }
  };
  const stop = async (): Promise<void> => {
    const child = daemon;
    if (!child?.pid) return;
    for (const id of below(child.pid)) endProcess(id);
    daemon = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  return {
    ...{ user, port, folder, hostKey, start, stop },
    address: `${user}@127.0.0.1:${port}`,
    key: join(folder, 'user'),
    knownHosts: join(folder, 'known_hosts'),
    log: () => log,
    serving: () => (daemon?.pid ? below(daemon.pid).filter((id) => commandOf(id).startsWith('sshd')) : []),
    async [Symbol.asyncDispose]() {
      await stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A pair of keys at `path` and `path.pub`. */
export function makeKey(path: string, options: { type?: string; passphrase?: string } = {}): void {
  const { type = 'ed25519', passphrase = '' } = options;
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', passphrase, '-C', 'holdfast test', '-f', path]);
}

/** Type and base64. */
export function publicKey(path: string): string {
  return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
}

/** A port that was free may be another's a moment later. */
async function startSomewhere(startAt: (port: number) => Promise<boolean>): Promise<number> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const port = await freePort();
    if (await startAt(port)) return port;
  }
  throw new Error('no port stays free');
}

function below(root: number): number[] {
  const text = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found: number[] = [];
  for (const waiting = [root]; waiting.length > 0; ) {
    const parent = waiting.pop();
    for (const [id, of] of pairs) {
      if (of !== parent) continue;
      found.push(id);
      waiting.push(id);
    }
  }
  return found;
}

function commandOf(id: number): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8');
  } catch {
    return ''; // ended meanwhile
  }
}
