/** What a program prints, as one file of a snapshot. */
import { createHash } from 'node:crypto';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { Fact, Fingerprint } from '../../model/fingerprint.ts';
import type { Capture, SourceContext } from '../driver.ts';
import { factsEntry, madeAttributes, madeDirectory, rootEntry, streamEntry, streamOf } from '../entries.ts';
import { ending, type Program, programFailure, start, type Tools, told, toolsOf } from './programs.ts';
import { argvOf, filenameOf, programOf, type Settings } from './settings.ts';

type Source = SourceContext<Settings>;

/** The folder in a snapshot that holds the one file. */
export const outputFolder = 'command';
export const algorithm = 'command-output-1';

/** The program runs when its output is read. Errors then: `host.command-failed`, `host.command-missing`, `source.unreadable`. */
export async function capture(source: Source): Promise<Capture> {
  const tools = await toolsOf(source);
  const atMs = source.clock.nowMs();
  const taking = new Taking(source, tools);
  const name = filenameOf(source.settings);
  const output = streamEntry(madeAttributes(name, 'file', atMs), { cut: 'content' }, () => streamOf(taking.bytes()));
  const fingerprint = async (): Promise<string> => {
    await taking.passed;
    const taken: Fingerprint = { format: 1, driver: 'command', algorithm, takenAtMs: atMs, facts: taking.facts() };
    return JSON.stringify(taken);
  };
  const about = async (): Promise<string> => {
    await taking.passed;
    const { status, durationMs } = taking;
    return JSON.stringify({ program: programOf(source.settings), filename: name, status, durationMs }, null, 2);
  };
  return {
    paths: [`/${outputFolder}/${name}`],
    root: rootEntry(
      [
        madeDirectory(outputFolder, [output], atMs),
        factsEntry(atMs, { 'fingerprint.json': fingerprint, 'source.json': about }),
      ],
      atMs,
    ),
    complete: async () => {
      if (!taking.isComplete) throw notRead(source);
    },
    notes: () => taking.notes(),
    [Symbol.asyncDispose]: async () => taking.abandon(),
  };
}

export function factsOf(bytes: number, sha256: string): Fact[] {
  return [
    { subject: 'output', measure: 'bytes', value: String(bytes) },
    { subject: 'output', measure: 'sha256', value: sha256 },
  ];
}

/** A program that is killed is gone within two seconds, see `HostCommand`; the rest is for machines that are slow. */
const goneWithinMs = 10_000;

/** One run of the program: counted and digested as it passes, judged by its exit status at its end. */
class Taking {
  /** Settles when the program ended and is judged, or when nobody will read it. */
  readonly passed: Promise<void>;
  isComplete = false;
  status: number | undefined;
  durationMs = 0;
  #bytes = 0;
  readonly #digest = createHash('sha256');
  #sha256 = '';
  readonly #source: Source;
  readonly #tools: Tools;
  readonly #settle: { resolve: () => void; reject: (error: unknown) => void };

  constructor(source: Source, tools: Tools) {
    this.#source = source;
    this.#tools = tools;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.passed = promise;
    this.#settle = { resolve, reject };
    promise.catch(() => {}); // who reads the bytes has the error, too
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#run();
      this.isComplete = true;
      this.#settle.resolve();
    } catch (error) {
      this.#settle.reject(error);
      throwIfCancelled(this.#source.signal);
      throw error;
    } finally {
      this.abandon();
    }
  }

  async *#run(): AsyncGenerator<Uint8Array> {
    const { host, settings, clock, signal } = this.#source;
    const program: Program = { noun: 'the command', argv: argvOf(settings), cwd: settings.cwd };
    const startedMs = clock.monotonicMs();
    const process = await start(host, program, this.#tools, signal);
    let ended = false;
    try {
      await process.endInput();
      for await (const chunk of process.stdout) {
        this.#count(chunk);
        yield chunk;
      }
      const exit = await process.exit;
      ended = true;
      this.#judge(program, exit);
      this.durationMs = Math.round(clock.monotonicMs() - startedMs);
      this.#sha256 = this.#digest.digest('hex');
    } finally {
      if (!ended) {
        process.kill();
        // The run has not ended before its program has. One whose output a stranger holds open is not waited for.
        const gone = process.exit.catch(() => undefined);
        await Promise.race([gone, clock.sleep(goneWithinMs, { background: true })]);
      }
    }
  }

  #count(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    this.#digest.update(chunk);
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#source.settings;
    if (this.#bytes > maxBytes) throw this.#wrongSize(`more than the ${maxBytes} bytes that maxBytes allows`);
  }

  #judge(program: Program, exit: Parameters<typeof ending>[0]): void {
    const { okStatus, allowEmpty, minBytes = 0 } = this.#source.settings;
    if (exit.status === null || !okStatus.includes(exit.status)) {
      const words = told(exit, this.#tools);
      throw programFailure('host.command-failed', this.#source, program, { what: ending(exit), words });
    }
    this.status = exit.status;
    if (this.#bytes === 0 && !allowEmpty) throw this.#wrongSize('nothing');
    if (this.#bytes < minBytes) throw this.#wrongSize(`${this.#bytes} bytes, and minBytes is ${minBytes}`);
  }

  #wrongSize(what: string): HoldfastError {
    return new HoldfastError({
      code: 'source.unreadable',
      message: `the command ${programOf(this.#source.settings)} of ${this.#source.name} printed ${what}`,
      remedy: 'Run it by hand to see what it prints; if that is right, set allowEmpty, minBytes or maxBytes.',
    });
  }

  facts(): Fact[] {
    return factsOf(this.#bytes, this.#sha256);
  }

  notes(): string[] {
    return this.status ? [`the command ended with status ${this.status}, which okStatus allows`] : [];
  }

  /** Nothing will pass any more. */
  abandon(): void {
    this.#settle.reject(notRead(this.#source));
  }
}

function notRead({ name }: Source): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `the output of the command of ${name} was not read to its end`,
    remedy: 'Back the source up again.',
    retry: 'later',
  });
}
