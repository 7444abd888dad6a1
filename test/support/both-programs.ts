/** One repository for two programs: restic and Holdfast as people run them, in a folder of their own. */
import {
  type ChildProcess,
  type ExecFileSyncOptionsWithStringEncoding,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const resticPrograms = ['restic', 'restic-new'] as const;
export type ResticProgram = (typeof resticPrograms)[number];

const holdfastProgram = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));
const hostileTree = fileURLToPath(new URL('hostile-tree.sh', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ListedSnapshot {
  readonly id: string;
  readonly paths: readonly string[];
  readonly tags?: readonly string[];
}

/** What restic says of a backup with --json. */
export interface ResticSummary {
  readonly data_blobs: number;
  readonly tree_blobs: number;
  readonly data_added: number;
  readonly total_bytes_processed: number;
  readonly snapshot_id: string;
}

/** What Holdfast says of one source. */
export interface StoredSource {
  readonly snapshot: string;
  readonly files: number;
  readonly bytes: number;
  readonly addedBytes: number;
}

export class BothPrograms implements Disposable {
  readonly folder = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast-both-'));
  readonly repository = this.path('repository');
  readonly env: NodeJS.ProcessEnv = {
    ...process.env,
    TZ: 'UTC',
    HOME: this.path('home'),
    HOLDFAST_STATE: this.path('home/state'),
    XDG_CACHE_HOME: join(tmpdir(), 'holdfast-e2e-cache'),
    RESTIC_REPOSITORY: this.repository,
    RESTIC_PASSWORD_FILE: this.path('home/password'),
    RESTIC_CACHE_DIR: this.path('home/restic-cache'),
    RESTIC_PROGRESS_FPS: '0',
  };

  /** `sources`: directories of the folder that exist from then on, each a source of its name. */
  constructor(...sources: readonly string[]) {
    mkdirSync(this.path('home'));
    for (const source of sources) mkdirSync(this.path(source));
    writeFileSync(this.path('home/password'), 'a password');
    this.configure(sources);
  }

  /** `password`: the file it is in. */
  configure(sources: readonly string[], password = 'home/password'): void {
    const policy = '{ schedule: "0 2 * * *", repositories: [ { name: both, keep: { last: 1 } } ] }';
    const lines = [
      `repositories: { both: { url: ./repository, password: { file: ./${password} } } }`,
      `policies: { nightly: ${policy} }`,
      'sources:',
      ...sources.map((name) => `  ${name}: { driver: files, paths: [./${name}], policy: nightly }`),
    ];
    writeFileSync(this.path('holdfast.yaml'), `${lines.join('\n')}\n`);
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts);
  }

  /** Fills a directory with one of each thing that backups get wrong. */
  makeHostile(directory: string): void {
    execFileSync(hostileTree, [this.path(directory)], { stdio: 'pipe' });
  }

  restic(program: ResticProgram, ...args: readonly string[]): string {
    return execFileSync(program, args, this.#options());
  }

  holdfast(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(holdfastProgram, args, this.#options());
    if (status !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
    return stdout;
  }

  /** Runs beside others; `started` gets the process. Output is kept, an exit status other than 0 is no error. */
  async run(
    program: ResticProgram | 'holdfast',
    args: readonly string[],
    started?: (child: ChildProcess) => void,
  ): Promise<Ended> {
    const child = spawn(program === 'holdfast' ? holdfastProgram : program, args, {
      cwd: this.folder,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // A process group of its own: a stopped process in ours would have the system hang up on all of us.
      detached: true,
    });
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

  /** All snapshots of sources as restic lists them, oldest first: those of the configuration are left out. */
  snapshots(program: ResticProgram): ListedSnapshot[] {
    const all = JSON.parse(this.restic(program, 'snapshots', '--json')) as ListedSnapshot[];
    return all.filter((one) => !one.tags?.includes('holdfast-state'));
  }

  resticBackup(program: ResticProgram, directory: string, ...args: readonly string[]): ResticSummary {
    const lines = this.restic(program, 'backup', '--json', ...args, this.path(directory))
      .trimEnd()
      .split('\n');
    return JSON.parse(lines.at(-1)!) as ResticSummary;
  }

  holdfastBackup(source: string, ...args: readonly string[]): StoredSource {
    const lines = this.holdfast('--json', 'backup', source, ...args)
      .trimEnd()
      .split('\n');
    return (JSON.parse(lines.at(-1)!) as { results: StoredSource[] }).results[0];
  }

  /** Ids of the lock files that are there. */
  locks(): string[] {
    return readdirSync(join(this.repository, 'locks'));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #options(): ExecFileSyncOptionsWithStringEncoding {
    return { cwd: this.folder, env: this.env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
  }
}
