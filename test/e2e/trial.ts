/** The program as a person runs it, in a folder and a home of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiled } from '../support/cheap-repository.ts';

export const program = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Trial {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));

  readonly #temporary: string;

  /** `temporary` is a folder of the trial that the program takes for the system's temporary one. */
  constructor(options: { readonly temporary?: string } = {}) {
    mkdirSync(join(this.folder, 'home'));
    this.#temporary = options.temporary === undefined ? tmpdir() : join(this.folder, options.temporary);
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  write(name: string, content: string | Uint8Array): void {
    mkdirSync(join(this.folder, name, '..'), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  get env(): NodeJS.ProcessEnv {
    const { PATH, LANG } = process.env;
    return {
      PATH,
      LANG,
      TZ: 'UTC',
      HOME: this.path('home'),
      HOLDFAST_STATE: this.path('home/state'),
      TMPDIR: this.#temporary,
      ...compiled,
    };
  }

  /** Starts the program; `started` gives access to the process while it runs. */
  async run(args: readonly string[], started?: (child: ReturnType<typeof spawn>) => void): Promise<Outcome> {
    const child = spawn(program, args, { cwd: this.folder, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    started?.(child);
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { status, ...output };
  }

  /** `holdfast …ARGS`, which has to end well. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(args);
    if (status !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** The document a command prints with --json; for commands that make progress the last line. */
  async json<T>(...args: readonly string[]): Promise<T> {
    const { stdout } = await this.run(['--json', ...args]);
    try {
      return JSON.parse(stdout) as T;
    } catch {
      return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as T;
    }
  }

  sqlite(file: string, sql: string): string {
    return execFileSync('sqlite3', [this.path(file), sql], { encoding: 'utf8' }).trim();
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
