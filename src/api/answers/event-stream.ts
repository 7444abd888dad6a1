/**
 * Server-sent events (WHATWG HTML, 9.2). A line of comment now and then keeps proxies from closing the connection and
 * finds out that nobody listens any more. The stream ends when the caller's session or token does, and when the server stops.
 */
import type { Clock } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';

export interface ServerEvent {
  /** What a browser sends as `Last-Event-ID` when it comes back. */
  readonly id?: string;
  readonly event: string;
  readonly data: unknown;
}

interface Watching {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Rejects when the caller may not listen any more. */
  readonly stillAllowed: () => Promise<unknown>;
}

/** How long nothing is sent at most, and how soon a stream ends that is not allowed any more. */
const quietMs = 20_000;

/** Reads on only as fast as the caller does. `open` gets a signal that ends what it follows. Memory: one event. */
export function eventStream(open: (signal: AbortSignal) => AsyncIterable<ServerEvent>, watching: Watching): Response {
  const stop = new AbortController();
  const signal = AbortSignal.any([watching.signal, stop.signal]);
  const events = open(signal)[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<ServerEvent>> | undefined;
  let lookedMs = watching.clock.monotonicMs();
  const look = async (): Promise<void> => {
    if (watching.clock.monotonicMs() - lookedMs < quietMs) return;
    await watching.stillAllowed();
    lookedMs = watching.clock.monotonicMs();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(encoder.encode('retry: 3000\n\n')),
      pull: async (controller) => {
        try {
          next ??= events.next();
          const one = await orQuiet(next, watching.clock);
          await look();
          if (one === undefined) {
            controller.enqueue(encoder.encode(':\n\n'));
            return;
          }
          next = undefined;
          if (one.done) controller.close();
          else controller.enqueue(encoder.encode(format(one.value)));
        } catch (error) {
          stop.abort();
          if (hasCode(error, 'cancelled', 'auth.required') || signal.aborted) controller.close();
          else controller.error(error);
        }
      },
      cancel: () => stop.abort(),
    },
    { highWaterMark: 1 },
  );
  // `no-transform`: a proxy that compresses would hold events back. X-Accel-Buffering is what nginx asks for.
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    },
  });
}

/** `undefined` if nothing came for a while. */
async function orQuiet<T>(next: Promise<T>, clock: Clock): Promise<T | undefined> {
  const waiting = new AbortController();
  const quiet = clock.sleep(quietMs, { signal: waiting.signal, background: true }).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([next, quiet]);
  } finally {
    waiting.abort();
  }
}

/** JSON has no line breaks, so that the data is one line. */
function format({ id, event, data }: ServerEvent): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
