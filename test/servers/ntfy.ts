/** ntfy from Debian's unstable suite, unpacked once into a cache, on a free loopback port; nobody may do anything without signing in. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'holdfast-tests');
const script = fileURLToPath(new URL('suite-packages.sh', import.meta.url));

/** The program; `undefined` where it cannot be had, which is an error where CI is set. About ten seconds and 60 MB the first time. */
export async function ntfyProgram(): Promise<string | undefined> {
  const folder = join(cache, 'ntfy-sid');
  try {
    await promisify(execFile)(script, [folder, 'sid', '/usr/bin/ntfy', 'ntfy']);
    return join(folder, 'bin', 'ntfy');
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`ntfy cannot be had here: ${String(error)}`);
    return undefined;
  }
}

/** As ntfy gives it to who subscribes. */
export interface NtfyMessage {
  readonly id: string;
  readonly event: string;
  readonly title?: string;
  readonly message?: string;
  readonly priority?: number;
  readonly tags?: readonly string[];
  readonly click?: string;
  readonly attachment?: unknown;
  readonly sequence_id?: string;
}

export class NtfyServer implements AsyncDisposable {
  readonly url: string;
  /** Of the user `holdfast`, who may write to the topic `backups` and nothing else. */
  readonly token: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  constructor(parts: { url: string; token: string; folder: string; process: ChildProcess }) {
    this.url = parts.url;
    this.token = parts.token;
    this.#folder = parts.folder;
    this.#process = parts.process;
  }

  /** What stands in a topic, read by its own user. */
  async messages(topic = 'backups'): Promise<NtfyMessage[]> {
    const authorization = `Basic ${Buffer.from('reader:reading').toString('base64')}`;
    const reply = await fetch(`${this.url}/${topic}/json?poll=1&since=all`, { headers: { authorization } });
    if (!reply.ok) throw new Error(`ntfy: ${reply.status} ${await reply.text()}`);
    const lines = (await reply.text()).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as NtfyMessage).filter(({ event }) => event === 'message');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await once(this.#process, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The user `holdfast` has the password `writing`. */
export async function startNtfy(program: string): Promise<NtfyServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-ntfy-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const auth = ['--auth-file', join(folder, 'users.db'), '--auth-default-access', 'deny-all'];
  const said: string[] = [];
  const argv = [
    'serve',
    '--listen-http',
    `127.0.0.1:${port}`,
    '--base-url',
    url,
    '--cache-file',
    join(folder, 'cache.db'),
    ...auth,
  ];
  const process = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  for (const stream of [process.stdout, process.stderr])
    stream.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const run = (password: string, ...args: string[]): string => {
    const env = { ...globalThis.process.env, NTFY_PASSWORD: password };
    const [family, ...rest] = args;
    return execFileSync(program, [family, ...auth, ...rest], { env, stdio: 'pipe' }).toString();
  };
  let server: NtfyServer | undefined;
  try {
    for (let attempt = 0; attempt < 1200 && process.exitCode === null; attempt++) {
      if ((await fetch(`${url}/v1/health`).catch(() => undefined))?.ok) break;
      await setTimeout(50);
    }
    for (const [name, password, access] of [
      ['holdfast', 'writing', 'write-only'],
      ['reader', 'reading', 'read-only'],
    ]) {
      run(password, 'user', 'add', name);
      run('', 'access', name, 'backups', access);
    }
    const token = /tk_[a-z0-9]+/.exec(run('', 'token', 'add', 'holdfast'))?.[0];
    if (token !== undefined) server = new NtfyServer({ url, token, folder, process });
  } catch (error) {
    said.push(String(error), String((error as { stderr?: Buffer }).stderr ?? ''));
  }
  if (server) return server;
  process.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  throw new Error(`ntfy does not start: ${said.join('')}`);
}
