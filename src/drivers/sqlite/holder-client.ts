/** Our side of the process that holds SQLite's locks. */
import { fileURLToPath } from 'node:url';
import { HoldfastError, messageOf, reasonOf } from '../../base/errors.ts';
import type { Host, HostProcess } from '../../hosts/host.ts';
import { type Answers, type Failure, type Question, type Reply, readOnlyRollback, sqliteCode } from './messages.ts';

const program = fileURLToPath(new URL('./holder.ts', import.meta.url));

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** SQLite's refusal, with its result code; turned into a HoldfastError by `explain`, where the thing's name is known. */
export class SqliteRefusal extends Error {
  readonly code: number;
  constructor(failure: { readonly message: string; readonly sqlite: number }) {
    super(failure.message);
    this.code = failure.sqlite;
  }
}

/**
 * One holder process. Questions are answered in order. When the process ends before it was released, every open and later
 * question fails with `host.command-failed`, and `ended` is true: whatever it held is no longer held.
 */
export class HolderClient implements AsyncDisposable {
  readonly #process: HostProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #reading: Promise<void>;
  readonly #signal: AbortSignal | undefined;
  #id = 0;
  #ended: Error | undefined;

  constructor(process: HostProcess, signal?: AbortSignal) {
    this.#process = process;
    this.#signal = signal;
    this.#reading = this.#read();
  }

  get ended(): Error | undefined {
    return this.#ended;
  }

  async ask<Q extends Question>(question: Q): Promise<Answers[Q['ask']]> {
    return (await this.request(question)) as Answers[Q['ask']];
  }

  /** A question to a holder of another make, in its own words. */
  async request(question: { readonly ask: string }): Promise<unknown> {
    if (this.#ended) throw this.#ended;
    const id = ++this.#id;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    answer.catch(() => {}); // awaited below: it may fail while the question is still being written
    try {
      await this.#process.write(`${JSON.stringify({ id, ...question })}\n`);
    } catch (error) {
      // The loop over its output notices the end too and says why; only without it is this the reason.
      await this.#reading;
      this.#waiting.get(id)?.reject(error);
      this.#waiting.delete(id);
    }
    return await answer;
  }

  /** Ends the process and with it everything it holds; returns when it is gone. */
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
        for (const line of lines) this.#deliver(JSON.parse(line) as Reply);
      }
    } catch {
      // A cut stream is the end of the process; its exit says more.
    }
    this.#ended = await endOf(this.#process, this.#signal, (exit) => lostHolder(exit.status, exit.signal, exit.stderr));
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }

  #deliver(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('ok' in reply) waiting?.resolve(reply.ok);
    else waiting?.reject(failureOf(reply.failure));
  }
}

/** Starts a holder on the host's machine. It ends with the signal, with `[Symbol.asyncDispose]`, and with this process. */
export async function startHolder(host: Host, signal?: AbortSignal): Promise<HolderClient> {
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', program];
  // With the code compiled for the last one it is ready in a third of the time.
  const cache = process.env.NODE_COMPILE_CACHE;
  const env: Record<string, string> = cache === undefined ? {} : { NODE_COMPILE_CACHE: cache };
  return new HolderClient(await host.run({ argv, env, signal }), signal);
}

/** Why a process is no more, as an error; also if the way to it was lost, and how it ended will never be known. Does not reject. */
export async function endOf(
  process: HostProcess,
  signal: AbortSignal | undefined,
  explainExit: (exit: Awaited<HostProcess['exit']>) => Error,
): Promise<Error> {
  const why = await process.exit.then(explainExit, (error: unknown) =>
    error instanceof Error ? error : new Error(messageOf(error)),
  );
  return signal?.aborted ? reasonOf(signal) : why;
}

function failureOf(failure: Failure): Error {
  if (failure.sqlite !== undefined) return new SqliteRefusal({ ...failure, sqlite: failure.sqlite });
  return new HoldfastError({
    code: 'internal',
    message: `the process that reads the database failed: ${failure.message}`,
    remedy: 'Run it again; if it stays, report it with this message.',
    retry: 'later',
  });
}

export function lostHolder(status: number | null, signal: string | null, stderr: string): HoldfastError {
  const how = signal ? `was ended by ${signal}` : `ended with status ${status}`;
  const said = stderr.trim().slice(-500);
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the process that holds the database's read lock ${how}${said ? `: ${said}` : ''}`,
    remedy: 'Run it again; if it stays, check the memory limit of the machine (an out-of-memory kill looks like this).',
    retry: 'later',
  });
}

export function isHotJournal(error: unknown): boolean {
  return error instanceof SqliteRefusal && error.code === readOnlyRollback;
}

/** What SQLite's refusal means for the person who runs the backup of `path`. Other errors pass through. */
export function explain(error: unknown, path: string): unknown {
  if (!(error instanceof SqliteRefusal)) return error;
  const details = meanings[error.code & 0xff] ?? {
    code: 'source.unreadable' as const,
    what: 'cannot be read',
    remedy: 'Open it with the sqlite3 shell and run PRAGMA integrity_check to see what is wrong.',
  };
  return new HoldfastError({
    code: details.code,
    message: `the database ${path} ${details.what} (SQLite: ${error.message}, code ${error.code})`,
    remedy: details.remedy,
    retry: details.code === 'source.busy' ? 'later' : 'never',
    cause: error,
  });
}

const locked = {
  code: 'source.busy',
  what: 'is locked by another program',
  remedy:
    'Run it again later. If it is always locked, a program opened it with PRAGMA locking_mode=EXCLUSIVE: change that to NORMAL, or stop the program for the backup.',
} as const;

const noWrite = {
  code: 'source.unreadable',
  what: 'cannot be opened without write access',
  remedy:
    'Let Holdfast run as the owner of the database, with write access to its directory: SQLite coordinates readers through files beside the database (-shm, or a journal to roll back).',
} as const;

const meanings: Record<
  number,
  { code: 'source.busy' | 'source.unreadable' | 'source.unsupported'; what: string; remedy: string }
> = {
  [sqliteCode.busy]: locked,
  [sqliteCode.locked]: locked,
  [sqliteCode.readOnly]: noWrite,
  [sqliteCode.cannotOpen]: noWrite,
  [sqliteCode.notADatabase]: {
    code: 'source.unsupported',
    what: 'is no SQLite database, or is encrypted',
    remedy:
      'Check the path. An encrypted database needs its own program to be copied consistently: use a driver that runs a command.',
  },
  [sqliteCode.corrupt]: {
    code: 'source.unreadable',
    what: 'is damaged',
    remedy:
      'Keep the file as it is, restore the newest proven snapshot beside it, and salvage newer rows with the .recover command of the sqlite3 shell.',
  },
};
