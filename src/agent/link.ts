/**
 * One end of a connection between server and agent: messages go out as they are, come in one at a time and in order, and a
 * partner that says nothing for too long is hung up on. A half-open connection looks like any other silence.
 */
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Unread } from './protocol.ts';

export interface LinkTiming {
  /** How often this end speaks up. */
  readonly heartbeatMs: number;
  /** The longest silence of the other. */
  readonly silenceMs: number;
}

export interface LinkOptions<In, Out> {
  readonly socket: WebSocket;
  readonly clock: Clock;
  readonly timing: LinkTiming;
  readonly read: (text: string) => In | Unread;
  /** The next message waits for it; if it throws, the connection ends with that. */
  readonly receive: (message: In) => Promise<void> | void;
  readonly beat: Out;
}

/** Messages that wait to be received; then the other end waits. */
const mostWaiting = 50;
/** RFC 6455, 7.4.1: a text that the receiver cannot make sense of. */
const unsupportedData = 1003;
const normalClosure = 1000;

export class Link<In, Out extends object> {
  /** Settles with the reason when the connection has ended, by whoever ended it. */
  readonly closed: Promise<string>;
  readonly #socket: WebSocket;
  readonly #options: LinkOptions<In, Out>;
  readonly #ended = new AbortController();
  #waiting = 0;
  #receiving: Promise<void> = Promise.resolve();
  #heardMs: number;
  #reason: string | undefined;

  constructor(options: LinkOptions<In, Out>) {
    this.#options = options;
    this.#socket = options.socket;
    this.#heardMs = options.clock.monotonicMs();
    this.closed = new Promise((resolve) => {
      this.#socket.on('close', (_code, reason) => {
        this.#ended.abort();
        resolve(this.#reason ?? (reason.toString() || 'the connection was closed'));
      });
    });
    this.#socket.on('error', (error) => {
      this.#reason ??= messageOf(error);
    });
    this.#socket.on('message', (data) => this.#take(data));
    void this.#beat();
  }

  /** False if nobody is there any more; what was sent before may have been lost, too. */
  send(message: Out): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** What was sent before still goes out; after a silence's time it is cut. */
  close(reason: string, code = normalClosure): void {
    this.#reason ??= reason;
    this.#socket.close(code, shortened(reason));
    const { clock, timing } = this.#options;
    clock.sleep(timing.heartbeatMs, { signal: this.#ended.signal, background: true }).then(
      () => this.#socket.terminate(),
      () => undefined,
    );
  }

  /** At once, whatever is under way. */
  cut(reason: string): void {
    this.#reason ??= reason;
    this.#socket.terminate();
  }

  #take(data: RawData): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    const message = this.#options.read(data.toString());
    if (message === 'unknown') return;
    if (message === 'malformed') {
      this.close('a message that means nothing', unsupportedData);
      return;
    }
    if (++this.#waiting >= mostWaiting) this.#socket.pause();
    this.#receiving = this.#receiving.then(async () => {
      try {
        if (this.#reason === undefined) await this.#options.receive(message as In);
      } catch (error) {
        this.close(messageOf(error));
      }
      if (--this.#waiting < mostWaiting && this.#socket.isPaused) this.#socket.resume();
    });
  }

  async #beat(): Promise<void> {
    const { clock, timing, beat } = this.#options;
    const { signal } = this.#ended;
    for (;;) {
      const isOver = await clock.sleep(timing.heartbeatMs, { signal, background: true }).then(
        () => false,
        () => true,
      );
      if (isOver) return;
      // Who is paused did hear something: it is this end that is slow.
      if (!this.#socket.isPaused && clock.monotonicMs() - this.#heardMs > timing.silenceMs) {
        return this.cut('the other end was silent for too long');
      }
      this.send(beat);
    }
  }
}

/** A close frame holds 123 bytes. */
function shortened(reason: string): string {
  return Buffer.from(reason)
    .subarray(0, 120)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
}
