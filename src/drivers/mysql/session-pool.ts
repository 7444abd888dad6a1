/** Reading connections that share one moment, each used by one dump at a time. */
import type { Session } from './session.ts';

export class SessionPool {
  readonly #free: Session[];
  readonly #waiting: ((session: Session) => void)[] = [];
  readonly #observers: (() => void)[] = [];
  #ended = 0;
  #failed = false;

  constructor(sessions: readonly Session[]) {
    this.#free = [...sessions];
  }

  /** Streams that came to their end. */
  get ended(): number {
    return this.#ended;
  }

  /** A stream that gets its connection when it is read. */
  async *with(stream: (session: Session) => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const session = this.#free.pop() ?? (await new Promise<Session>((resolve) => this.#waiting.push(resolve)));
    let whole = false;
    try {
      yield* stream(session);
      whole = true;
      this.#ended++;
    } finally {
      if (!whole) this.#failed = true;
      const next = this.#waiting.shift();
      if (next) next(session);
      else this.#free.push(session);
      for (const observe of this.#observers) observe();
    }
  }

  /** Resolves when `count` streams came to their end, or one broke: that error is told where the stream is read. */
  async finished(count: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#failed || this.#ended >= count) resolve();
      };
      this.#observers.push(look);
      look();
    });
  }
}
