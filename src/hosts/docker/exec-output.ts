/** What comes back from a program in a container: stdout as it is read, with back-pressure, and stderr's tail. */
import type { Duplex } from 'node:stream';
import { EnvelopeReader } from './envelope.ts';
import { FrameReader } from './frames.ts';

/** Output that waits to be read, before the engine is made to wait. */
const waitingBytes = 1 << 20;
/** What of the last output on stderr is kept. */
const stderrBytes = 64 * 1024;

export interface OutputEnd {
  /** The program's output arrived to its last byte. */
  readonly whole: boolean;
  /** What broke the connection, if something did. */
  readonly error?: unknown;
}

/**
 * reading → (discarding, once nobody wants the output) → ended. The stream is paused while `waitingBytes` are not read;
 * stderr and stdout share it, so a program that waits for its stderr to be taken also waits for its stdout to be.
 */
export class ExecOutput {
  readonly #socket: Duplex;
  readonly #envelope: EnvelopeReader | undefined;
  readonly #frames: FrameReader;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #discarding = false;
  #stderr: Buffer[] = [];
  #stderrBytes = 0;
  #end: OutputEnd | undefined;
  #changed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<OutputEnd>();
  readonly #greeted = Promise.withResolvers<string | undefined>();

  /** Without `token` there are no marks around the output, and every end counts as whole. */
  constructor(socket: Duplex, token: string | undefined) {
    this.#socket = socket;
    this.#envelope = token === undefined ? undefined : new EnvelopeReader(token);
    this.#frames = new FrameReader({
      stdout: (bytes) => this.#take(this.#envelope ? this.#envelope.push(bytes) : [bytes]),
      stderr: (bytes) => this.#keep(bytes),
    });
    socket.on('data', (chunk: Buffer) => this.#push(chunk));
    socket.once('end', () => this.#finish());
    socket.once('close', () => this.#finish(new Error('the connection was closed')));
    socket.on('error', (error) => this.#finish(error));
  }

  /** What the first mark said, or `undefined` if the output ended without one. */
  get greeted(): Promise<string | undefined> {
    return this.#greeted.promise;
  }

  get ended(): Promise<OutputEnd> {
    return this.#ended.promise;
  }

  stderr(): string {
    return Buffer.concat(this.#stderr).subarray(-stderrBytes).toString('utf8');
  }

  /** The next part of stdout; `undefined` at its end. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const part = this.#waiting.shift();
      if (part) {
        this.#waitingBytes -= part.length;
        if (this.#waitingBytes < waitingBytes / 2) this.#socket.resume();
        return part;
      }
      if (this.#end || this.#discarding) return undefined;
      this.#changed = Promise.withResolvers();
      await this.#changed.promise;
    }
  }

  /** Nobody will read stdout any more: it is taken and forgotten, so that the end can come. */
  discard(): void {
    this.#discarding = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#changed.resolve();
    this.#socket.resume();
  }

  #push(chunk: Buffer): void {
    try {
      this.#frames.push(chunk);
    } catch (error) {
      this.#socket.destroy();
      this.#finish(error);
    }
  }

  #take(parts: readonly Buffer[]): void {
    if (this.#envelope?.hello !== undefined) this.#greeted.resolve(this.#envelope.hello);
    if (this.#discarding || this.#end) return;
    for (const part of parts) {
      if (part.length === 0) continue;
      this.#waiting.push(part);
      this.#waitingBytes += part.length;
    }
    if (this.#waitingBytes >= waitingBytes) this.#socket.pause();
    this.#changed.resolve();
  }

  #keep(bytes: Buffer): void {
    this.#stderr.push(bytes);
    this.#stderrBytes += bytes.length;
    if (this.#stderrBytes <= 2 * stderrBytes) return;
    this.#stderr = [Buffer.concat(this.#stderr).subarray(-stderrBytes)];
    this.#stderrBytes = stderrBytes;
  }

  #finish(error?: unknown): void {
    if (this.#end) return;
    this.#take(this.#envelope ? [this.#envelope.rest()] : []);
    const whole = error === undefined && this.#frames.atBoundary && this.#envelope?.complete !== false;
    this.#end = { whole, error };
    this.#greeted.resolve(undefined);
    this.#changed.resolve();
    this.#ended.resolve(this.#end);
  }
}
