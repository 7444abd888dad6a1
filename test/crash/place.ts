/** A repository, a changing source and the real program, for tests that kill it. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const program = new URL('../../bin/holdfast', import.meta.url).pathname;
const run = promisify(execFile);

export interface Outcome {
  readonly status: number | null;
  readonly killed: boolean;
  readonly output: string;
  readonly durationMs: number;
}

export class CrashPlace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-crash-'));
  readonly repository = join(this.folder, 'repository');
  readonly source = join(this.folder, 'source');
  readonly #env = {
    ...process.env,
    HOLDFAST_STATE: join(this.folder, 'state'),
    PASSWORD: 'first',
    SECOND: 'second',
    RESTIC_PASSWORD: 'first',
  };
  #files = 0;

  constructor() {
    mkdirSync(this.source);
    const config = {
      repositories: { main: { url: this.repository, password: { env: 'PASSWORD' } } },
      policies: { often: { repositories: [{ name: 'main', keep: { last: 4 } }] } },
      sources: { data: { driver: 'files', paths: [this.source], policy: 'often' } },
    };
    writeFileSync(join(this.folder, 'holdfast.yaml'), JSON.stringify(config));
  }

  /** Adds new data, replaces some, removes some: bounded in size however often it is called. */
  change(bytes: number): void {
    const big = join(this.source, `big-${this.#files % 3}`);
    writeFileSync(big, randomBytes(bytes));
    const small = join(this.source, `small-${this.#files % 5}`);
    rmSync(small, { recursive: true, force: true });
    mkdirSync(small);
    for (let i = 0; i < 40; i++) writeFileSync(join(small, `f${i}`), randomBytes(500 + 97 * i));
    this.#files++;
  }

  /** Runs Holdfast; kills it with SIGKILL after `killAfterMs`, or as soon as `killWhen` says so, if it still runs. */
  async holdfast(args: readonly string[], killAfterMs?: number, killWhen?: () => boolean): Promise<Outcome> {
    const started = performance.now();
    const child = spawn(program, ['--config', join(this.folder, 'holdfast.yaml'), ...args], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (part) => {
      output += part;
    });
    child.stderr.on('data', (part) => {
      output += part;
    });
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    const watch = killWhen && setInterval(() => killWhen() && child.kill('SIGKILL'), 5);
    const [status, signal] = await new Promise<[number | null, string | null]>((resolve) => {
      child.on('close', (...ended) => resolve(ended));
    });
    clearTimeout(timer);
    clearInterval(watch);
    return { status, killed: signal === 'SIGKILL', output, durationMs: performance.now() - started };
  }

  /** restic's word on the repository; locks of killed processes do not matter to it. */
  async resticCheck(): Promise<string> {
    const args = ['-r', this.repository, '--no-lock', '--no-cache', 'check', '--read-data'];
    const { stdout, stderr } = await run('restic', args, { env: this.#env }).catch((error) => error);
    return stdout + stderr;
  }

  snapshots(): Set<string> {
    const folder = join(this.repository, 'snapshots');
    if (!existsSync(folder)) return new Set();
    return new Set(readdirSync(folder).filter((name) => name.length === 64));
  }

  /** Bytes of complete packs. */
  packBytes(): number {
    const data = join(this.repository, 'data');
    let bytes = 0;
    if (!existsSync(data)) return 0;
    for (const folder of readdirSync(data)) {
      for (const name of readdirSync(join(data, folder))) {
        if (/^[0-9a-f]{64}$/.test(name)) bytes += statSync(join(data, folder, name)).size;
      }
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
