/** The way to the thread that looks at, and reads, many files at once. It is started when it is first needed. */
import { Worker } from 'node:worker_threads';
import { type Answer, outcome, type Request } from './reading-messages.ts';

/** A file's size. `other`: neither file nor folder, so nothing of ours. */
export type Look = number | 'gone' | 'folder' | 'other';

export class ManyFiles {
  #worker: Worker | undefined;
  #ended = false;
  #number = 0;
  /** Told `undefined` if the thread ended. */
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();

  /** What is at each path; nothing for what has to be looked at by itself, which gives the error too. */
  async look(paths: readonly string[]): Promise<(Look | undefined)[]> {
    const answer = await this.#ask('look', paths);
    return answer ? Array.from(answer.sizes, lookOf) : [];
  }

  /** The bytes of each file; nothing for what has to be read by itself. */
  async read(paths: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const answer = await this.#ask('read', paths);
    let end = 0;
    return Array.from(answer?.sizes ?? [], (size) => {
      if (size < 0) return undefined;
      end += size;
      return answer?.bytes?.subarray(end - size, end);
    });
  }

  async close(): Promise<void> {
    this.#end();
    await this.#worker?.terminate();
  }

  async #ask(kind: Request['kind'], paths: readonly string[]): Promise<Answer | undefined> {
    if (this.#ended) return undefined;
    this.#worker ??= this.#start();
    const request: Request = { number: ++this.#number, kind, paths };
    // The event loop must stay alive while an answer is owed, and only then.
    this.#worker.ref();
    return await new Promise((resolve) => {
      this.#waiting.set(request.number, resolve);
      this.#worker?.postMessage(request);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./reading-thread.ts', import.meta.url));
    worker.on('message', (answer: Answer) => {
      this.#waiting.get(answer.number)?.(answer);
      this.#waiting.delete(answer.number);
      if (this.#waiting.size === 0) worker.unref();
    });
    // Without the thread all is as it was before there was one, but slower.
    worker.on('error', () => this.#end());
    worker.on('exit', () => this.#end());
    worker.unref();
    return worker;
  }

  #end(): void {
    this.#ended = true;
    for (const resolve of this.#waiting.values()) resolve(undefined);
    this.#waiting.clear();
  }
}

function lookOf(size: number): Look | undefined {
  if (size >= 0) return size;
  if (size === outcome.gone) return 'gone';
  if (size === outcome.folder) return 'folder';
  return size === outcome.other ? 'other' : undefined;
}
