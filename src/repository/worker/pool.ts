/**
 * The repository's worker threads. One pool per operation; `close` ends the threads. Jobs that belong together (a worker's
 * open packs) stay in their worker; everything else goes to the least busy one, the lowest number first, so that a small
 * backup uses one worker and makes one pack.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type ErrorCode, errorCatalogue, HoldfastError } from '../../base/errors.ts';
import type { Repository } from '../repository.ts';
import type { FinishedPack, FromWorker, Job, JobResults, ToWorker, WorkerSettings } from './messages.ts';

/** Jobs that others wait for: where chunks end decides what can be hashed next. Sealing, the longest work, comes after. */
const urgent: ReadonlySet<Job['kind']> = new Set(['scan', 'hash', 'cut-pages']);
/** Jobs a thread has at a time: the one it does, and one more. */
const sentAhead = 2;

interface Thread {
  readonly worker: Worker;
  /** Jobs not answered yet: sent, or in one of the queues. */
  waiting: number;
  sent: number;
  readonly urgent: ToWorker[];
  readonly ordinary: ToWorker[];
}

interface Pending {
  readonly thread: Thread;
  resolve(result: never): void;
  reject(error: unknown): void;
}

export class WorkerPool implements AsyncDisposable {
  readonly #threads: Thread[] = [];
  readonly #pending = new Map<number, Pending>();
  readonly #settings: WorkerSettings;
  readonly #most: number;
  #number = 0;
  #failure: unknown;
  #closed = false;

  readonly #takePack: (pack: FinishedPack) => void;

  /** Threads start when they are first needed. `takePack` gets every pack `seal` and `flush` finish, before they resolve. */
  constructor(settings: WorkerSettings, threads = usualThreads(), takePack: (pack: FinishedPack) => void = () => {}) {
    this.#settings = settings;
    this.#most = threads;
    this.#takePack = takePack;
  }

  get threads(): number {
    return this.#most;
  }

  /** Starts up to so many threads ahead of the first job, while something else is waited for. */
  warm(threads: number): void {
    while (this.#threads.length < Math.min(threads, this.#most)) this.#start();
  }

  /** Does a job and resolves with its result and the number of the worker that did it. */
  async run<K extends Job['kind']>(job: Extract<Job, { kind: K }>): Promise<JobResults[K]> {
    return await this.#send<K>(this.#leastBusy(), job);
  }

  /** Closes the open packs of every worker. */
  async flush(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => this.#send<'flush'>(thread, { kind: 'flush' })));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map((thread) => thread.worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #leastBusy(): Thread {
    let best: Thread | undefined;
    for (const thread of this.#threads) if (!best || thread.waiting < best.waiting) best = thread;
    if (best && (best.waiting === 0 || this.#threads.length === this.#most)) return best;
    return this.#start();
  }

  #start(): Thread {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: this.#settings });
    const thread: Thread = { worker, waiting: 0, sent: 0, urgent: [], ordinary: [] };
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (status) => {
      if (!this.#closed) this.#fail(new Error(`a worker thread ended with status ${status}`));
    });
    worker.unref();
    this.#threads.push(thread);
    return thread;
  }

  #post(thread: Thread, message: ToWorker): void {
    if (!this.#closed) thread.worker.postMessage(message);
  }

  async #send<K extends Job['kind']>(thread: Thread, job: Extract<Job, { kind: K }>): Promise<JobResults[K]> {
    if (this.#failure !== undefined) throw this.#failure;
    const number = ++this.#number;
    // The event loop must stay alive while an answer is owed, and only then.
    if (thread.waiting++ === 0) thread.worker.ref();
    return await new Promise<JobResults[K]>((resolve, reject) => {
      this.#pending.set(number, { thread, resolve: resolve as (result: never) => void, reject });
      (urgent.has(job.kind) ? thread.urgent : thread.ordinary).push({ number, job });
      this.#feed(thread);
    });
  }

  /** Hands the thread its next jobs, urgent ones first; one waits in the thread so that it never idles. */
  #feed(thread: Thread): void {
    while (thread.sent < sentAhead) {
      const next = thread.urgent.shift() ?? thread.ordinary.shift();
      if (!next) return;
      thread.sent++;
      this.#post(thread, next);
    }
  }

  #receive(message: FromWorker): void {
    if ('pack' in message) {
      this.#takePack(message.pack);
      return;
    }
    const pending = this.#pending.get(message.number);
    if (!pending) return;
    this.#pending.delete(message.number);
    if (--pending.thread.waiting === 0) pending.thread.worker.unref();
    pending.thread.sent--;
    this.#feed(pending.thread);
    if ('error' in message) pending.reject(revive(message.error));
    else pending.resolve(message.result as never);
  }

  #fail(cause: unknown): void {
    this.#failure ??= new HoldfastError({
      code: 'internal',
      message: 'a worker thread stopped unexpectedly',
      remedy: 'Check that the machine has memory left, then run it again; what was stored is kept.',
      cause,
    });
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
  }
}

/** A pool for reading (opening, checking, comparing); writers configure their own. */
export function workerPoolFor(repository: Repository, threads?: number): WorkerPool {
  const { masterKey, config } = repository;
  const settings = { masterKey, polynomial: config.chunkerPolynomial, version: config.version } as const;
  return new WorkerPool({ ...settings, compression: 'auto', packBytes: 16 << 20 }, threads);
}

export function usualThreads(): number {
  return Math.max(1, Math.min(8, availableParallelism()));
}

function revive(error: { code: string; message: string; remedy: string }): HoldfastError {
  const code = (error.code in errorCatalogue ? error.code : 'internal') as ErrorCode;
  return new HoldfastError({ code, message: error.message, remedy: error.remedy });
}
