/** `holdfast serve` as a process of its own, in a folder of its own, and people who may ask it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { addPerson, type Person } from './api-people.ts';
import { compiled } from './cheap-repository.ts';

export const program = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Serving {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-serve-'));
  readonly env: NodeJS.ProcessEnv;
  /** Everything the server wrote. */
  output = '';
  url = '';
  #child: ChildProcess | undefined;
  #catalogue: Catalogue | undefined;
  readonly #people = new Map<string, Promise<Person>>();

  /** `configuration` is YAML without `server:`; FOLDER in it becomes the folder. */
  constructor(configuration: string, env: Readonly<Record<string, string>> = {}, server = '') {
    const { PATH, LANG } = process.env;
    mkdirSync(join(this.folder, 'home'));
    this.env = {
      ...{ PATH, LANG, TZ: 'UTC', HOME: join(this.folder, 'home'), HOLDFAST_STATE: join(this.folder, 'state') },
      ...{ HOLDFAST_CACHE: 'off', ...compiled, ...env },
    };
    const text = `server: { listen: "127.0.0.1:0", catalogue: FOLDER/catalogue.db ${server} }\n${configuration}`;
    this.write('holdfast.yaml', text.replaceAll('FOLDER', this.folder));
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  write(name: string, content: string): void {
    mkdirSync(join(this.folder, name, '..'), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  get child(): ChildProcess {
    return this.#child!;
  }

  async start(args: readonly string[] = []): Promise<void> {
    const child = spawn(program, ['serve', ...args], {
      cwd: this.folder,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    let text = '';
    await new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          this.output += part;
          const url = /"url":"(https?:[^"]+)"/.exec(text)?.[1];
          if (url) {
            this.url = url;
            resolve();
          }
        });
      }
      child.on('close', () => reject(new Error(`the server ended: ${text}`)));
    });
  }

  /** Its exit status. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const ended = once(child, 'close');
    child.kill(signal);
    await ended;
    return child.exitCode;
  }

  /** Another `holdfast` command in the same folder. */
  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...this.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, ...output };
  }

  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(args);
    if (status !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
    return stdout;
  }

  async catalogue(): Promise<Catalogue> {
    this.#catalogue ??= await openCatalogue({ kind: 'sqlite', path: this.path('catalogue.db') }, () => Date.now());
    return this.#catalogue;
  }

  /** See `addPerson`; the same one for the same words. */
  async person(held: string): Promise<Person> {
    const known = this.#people.get(held) ?? this.catalogue().then((catalogue) => addPerson(catalogue, held));
    this.#people.set(held, known);
    return await known;
  }

  /** `held`: who asks; nobody without. */
  async ask(path: string, options: RequestInit & { readonly held?: string } = {}): Promise<Response> {
    const { held, headers, ...rest } = options;
    const all = new Headers(headers);
    if (held !== undefined) all.set('authorization', `Bearer ${(await this.person(held)).token}`);
    if (typeof rest.body === 'string' && !all.has('content-type')) all.set('content-type', 'application/json');
    return await fetch(`${this.url}${path}`, { redirect: 'manual', ...rest, headers: all });
  }

  async json<T>(path: string, options: RequestInit & { readonly held?: string } = {}): Promise<T> {
    const response = await this.ask(path, options);
    if (!response.ok)
      throw new Error(`${options.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async dispose(): Promise<void> {
    await this.stop('SIGKILL');
    await this.#catalogue?.[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
