/** A shell that stays in a container and answers requests about files one after another: starting a program for each takes a hundred times longer. */
import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../../base/errors.ts';
import type { HostProcess } from '../host.ts';
import type { Container } from './container.ts';
import { runInContainer } from './run.ts';
import { sessionScript } from './session-script.ts';
import { encodeWord } from './words.ts';

export interface Answer {
  readonly status: number;
  /** What the operation printed. */
  readonly output: Buffer;
  /** What it complained about. */
  readonly said: string;
  /** Stands before each part of the output. */
  readonly token: string;
}

interface Shell {
  readonly token: string;
  readonly program: HostProcess;
  readonly chunks: AsyncIterator<Uint8Array>;
}

/** Started when it is first needed, and again after it broke. Answers are held in memory whole. */
export class ShellSession {
  readonly #container: Container;
  #shell: Shell | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(container: Container) {
    this.#container = container;
  }

  /** Requests wait for those before them. `payload` is what the operation reads. */
  request(operation: string, words: readonly string[], payload?: Uint8Array): Promise<Answer> {
    const answer = this.#last.then(() => this.#ask(operation, words, payload));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
    const shell = this.#shell;
    this.#shell = undefined;
    if (!shell) return;
    // it ends where its input ends
    await shell.program.endInput();
    while (!(await shell.chunks.next()).done);
  }

  async #ask(operation: string, words: readonly string[], payload: Uint8Array | undefined): Promise<Answer> {
    if (this.#isClosed) throw this.#failure('the host was closed');
    this.#shell ??= await this.#start();
    const shell = this.#shell;
    try {
      await shell.program.write(`${[operation, ...words.map(encodeWord)].join(' ')}\n`);
      if (payload?.length) await shell.program.write(payload);
      const answer = await this.#answer(shell);
      // what an operation that failed left of its payload would be taken for requests
      if (payload?.length && answer.status !== 0) this.#drop();
      return answer;
    } catch (error) {
      this.#drop();
      throw error;
    }
  }

  async #start(): Promise<Shell> {
    const token = randomBytes(16).toString('hex');
    const program = await runInContainer(this.#container, { argv: ['sh', '-c', sessionScript, 'sh', token] });
    return { token, program, chunks: program.stdout[Symbol.asyncIterator]() };
  }

  async #answer(shell: Shell): Promise<Answer> {
    const parts: Buffer[] = [];
    for (;;) {
      const next = await shell.chunks.next();
      if (next.done) {
        const { stderr } = await shell.program.exit;
        throw this.#failure(stderr.trim() || 'its shell ended');
      }
      parts.push(Buffer.from(next.value));
      // only an answer that may be at its end is put together
      const tail = Buffer.concat(parts.slice(-shell.token.length));
      const answer = tail.toString('latin1').endsWith(shell.token) ? parseAnswer(parts, shell.token) : undefined;
      if (answer) return answer;
    }
  }

  #drop(): void {
    this.#shell?.program.kill();
    this.#shell = undefined;
  }

  #failure(reason: string): HoldfastError {
    return new HoldfastError({
      code: 'host.unreachable',
      message: `the files of the container ${this.#container.name} cannot be reached: ${reason}`,
      remedy: 'Check that the container still runs.',
      retry: 'later',
    });
  }
}

/** OUTPUT TOKEN STATUS SPACE WORDS TOKEN; the output may hold tokens too, but none that a digit follows. */
function parseAnswer(parts: readonly Buffer[], token: string): Answer | undefined {
  const all = Buffer.concat(parts);
  for (let at = all.indexOf(token); at >= 0; at = all.indexOf(token, at + token.length)) {
    const from = at + token.length;
    if (!isDigit(all[from])) continue;
    if (all.length <= from + token.length) return undefined;
    const last = all.subarray(from, -token.length).toString('utf8');
    const space = last.indexOf(' ');
    return {
      status: Number(last.slice(0, space)),
      output: all.subarray(0, at),
      said: last.slice(space + 1).trim(),
      token,
    };
  }
  return undefined;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}
