/** SQLite's locks held by the sqlite3 shell of another host. It is spoken to on stdin: statements in, lines out. */
import type { HoldfastError } from '../../../base/errors.ts';
import type { Host, HostProcess } from '../../../hosts/host.ts';
import { endOf, lostHolder, SqliteRefusal } from '../holder-client.ts';
import { sqliteCode } from '../messages.ts';
import type { FarHolder, FarOpen, FarState } from './lock-holder.ts';

/** -init: a ~/.sqliterc would change what is printed. */
export const shellOptions = ['-batch', '-bail', '-init', '/dev/null', '-list', '-noheader'] as const;

/** Errors: `host.command-missing`, `host.command-failed`, `SqliteRefusal`. The path must be well-formed text. */
export async function openWithShell(host: Host, open: FarOpen, signal?: AbortSignal): Promise<FarHolder> {
  const shell = new SqliteShell(await startShell(host, open, signal), signal);
  try {
    const [libraryVersion] = await shell.ask('SELECT sqlite_version()');
    const [journalMode] = await shell.ask('SELECT count(*) FROM sqlite_master', 'PRAGMA journal_mode').then(lastOf);
    return shellHolder(host, open, shell, { libraryVersion, journalMode });
  } catch (error) {
    await shell[Symbol.asyncDispose]();
    throw error;
  }
}

async function startShell(host: Host, open: FarOpen, signal?: AbortSignal): Promise<HostProcess> {
  const access = open.mode === 'snapshot' ? ['-readonly'] : [];
  const process = await host.run({ argv: ['sqlite3', ...shellOptions, ...access, open.path], signal });
  await process.write(`.timeout ${open.busyMs}\n`).catch(() => {}); // if it ended, its exit says why
  return process;
}

function shellHolder(
  host: Host,
  open: FarOpen,
  shell: SqliteShell,
  opened: { libraryVersion: string; journalMode: string },
): FarHolder {
  return {
    ...opened,
    get ended() {
      return shell.ended;
    },
    hold: async () => {
      const lines = await shell.ask(
        'BEGIN',
        'SELECT count(*) FROM sqlite_master',
        'PRAGMA journal_mode',
        'PRAGMA page_size',
        'PRAGMA page_count',
      );
      const [journalMode, pageBytes, pageCount] = lines.slice(-3);
      return { journalMode, pageBytes: Number(pageBytes), pageCount: Number(pageCount) } satisfies FarState;
    },
    unhold: async () => {
      await shell.ask('COMMIT');
    },
    release: async () => {
      await shell.quit();
      if (open.mode === 'snapshot') await removeEmptyWal(host, open);
    },
    [Symbol.asyncDispose]: () => shell[Symbol.asyncDispose](),
  };
}

/**
 * A read-only connection that closes last leaves an empty WAL behind where there was none: SQLite itself takes it away.
 * Failing is no matter: then another program is at work, or we may not write, and an empty WAL is harmless.
 */
async function removeEmptyWal(host: Host, { path }: FarOpen): Promise<void> {
  const wal = await host.files.attributes(`${path}-wal`).catch(() => undefined);
  if (wal?.size !== 0) return;
  const question = 'SELECT count(*) FROM sqlite_master';
  const process = await host.run({ argv: ['sqlite3', ...shellOptions, path, question] });
  await process.endInput().catch(() => {});
  for await (const _ of process.stdout);
  await process.exit;
}

function lastOf(lines: readonly string[]): readonly string[] {
  return lines.slice(-1);
}

const endOfAnswer = '-- holdfast: answered --';

/** One conversation. The shell writes its output out before it reads the next line, so an answer is never held back. */
class SqliteShell implements AsyncDisposable {
  readonly #process: HostProcess;
  readonly #signal: AbortSignal | undefined;
  readonly #reading: Promise<void>;
  #lines: string[] = [];
  #waiting: { resolve: (lines: string[]) => void; reject: (error: unknown) => void } | undefined;
  #quitting = false;
  #ended: Error | undefined;

  constructor(process: HostProcess, signal?: AbortSignal) {
    this.#process = process;
    this.#signal = signal;
    this.#reading = this.#read();
  }

  get ended(): Error | undefined {
    return this.#ended;
  }

  /** The lines the statements print. With -bail the shell ends at the first that fails, and says why on stderr. */
  async ask(...statements: string[]): Promise<string[]> {
    if (this.#ended) throw this.#ended;
    const answer = new Promise<string[]>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    answer.catch(() => {}); // awaited below: it may fail while the question is still being written
    const text = [...statements, `SELECT '${endOfAnswer}'`].map((statement) => `${statement};\n`).join('');
    await this.#process.write(text).catch(() => {}); // if it ended, #read rejects the answer with the reason
    return await answer;
  }

  /** Closes the database in good order; fails unless the shell lived until now. */
  async quit(): Promise<void> {
    await this.ask();
    this.#quitting = true;
    await this.#process.endInput().catch(() => {});
    await this.#reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.#process.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#take(line);
      }
    } catch {
      // a cut stream is the end of the process; its exit says more
    }
    this.#ended = await endOf(this.#process, this.#signal, explainExit);
    if (!this.#quitting) this.#waiting?.reject(this.#ended);
  }

  #take(line: string): void {
    if (line !== endOfAnswer) {
      this.#lines.push(line);
      return;
    }
    this.#waiting?.resolve(this.#lines);
    this.#waiting = undefined;
    this.#lines = [];
  }
}

/** The shell has no codes but words; sqlite3_errstr gives them. */
const refusals: readonly (readonly [RegExp, number])[] = [
  [/database (?:table )?is locked/, sqliteCode.busy],
  [/readonly database/, sqliteCode.readOnly],
  [/unable to open/, sqliteCode.cannotOpen],
  [/not a database|encrypted/, sqliteCode.notADatabase],
  [/malformed/, sqliteCode.corrupt],
];

function explainExit({ status, signal, stderr }: Awaited<HostProcess['exit']>): SqliteRefusal | HoldfastError {
  const refusal = refusals.find(([words]) => words.test(stderr));
  if (refusal === undefined || signal !== null) return lostHolder(status, signal, stderr);
  return new SqliteRefusal({ message: stderr.trim().slice(-300), sqlite: refusal[1] });
}
