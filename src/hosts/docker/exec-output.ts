/** What comes back from a program in a container: stdout as it is read, with back-pressure, and stderr's tail. */
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { EnvelopeReader } from './envelope.ts';
import { FrameReader } from './frames.ts';

/** Output that waits to be read, before the engine is made to wait. */
const waitingBytes = 1 << 20;
/** How long what may be the start of the end mark waits for the rest of it, which was written together with it. */
const markWaitMs = 100;
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
  readonly #clock: Clock;
  readonly #envelope: EnvelopeReader | undefined;
  readonly #frames: FrameReader;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #discarding = false;
  #stderr: Buffer[] = [];
  #stderrBytes = 0;
  #end: OutputEnd | undefined;
  #received = 0;
  #changed = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<OutputEnd>();
  readonly #greeted = Promise.withResolvers<string | undefined>();

  /** Without `token` there are no marks around the output, and every end counts as whole. */
  constructor(socket: Duplex, token: string | undefined, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
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
        if (this.#waitingBytes < waitingBytes / 2) this.#resume();
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

  #resume(): void {
    if (!this.#socket.isPaused()) return;
    this.#socket.resume();
    this.#watchHeld();
  }

  /** In a conversation nothing follows until the other side has had its turn. */
  #watchHeld(): void {
    if (!this.#envelope?.isHolding || this.#socket.isPaused()) return;
    const received = this.#received;
    const release = async (): Promise<void> => {
      await this.#clock.sleep(markWaitMs, { background: true });
      await setImmediate(); // what has arrived meanwhile is taken first
      if (received === this.#received && !this.#end) this.#take([this.#envelope!.release()]);
    };
    release().catch(() => undefined); // a clock that stops
  }

  #push(chunk: Buffer): void {
    try {
      this.#received++;
      this.#frames.push(chunk);
      this.#watchHeld();
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
    this.#take(this.#envelope ? [this.#envelope.release()] : []);
    const whole = error === undefined && this.#frames.atBoundary && this.#envelope?.complete !== false;
    this.#end = { whole, error };
    this.#greeted.resolve(undefined);
    this.#changed.resolve();
    this.#ended.resolve(this.#end);
  }
}
