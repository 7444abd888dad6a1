/** Within one process those who wait for news of a catalogue are woken at once; of other processes they learn by looking. */
import { EventEmitter } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import type { Catalogue } from './open.ts';

/** `happenings`, `queue` (a run may be started or is to be cancelled), or the id of a run whose log grew or state changed. */
export type News = string;

/** Given as the reason: `abort()` without one makes an exception with its stack every time, which costs more than the waking. */
const woken = 'woken';

const bells = new WeakMap<Catalogue, EventEmitter>();

function bellOf(catalogue: Catalogue): EventEmitter {
  const bell = bells.get(catalogue) ?? new EventEmitter().setMaxListeners(0);
  bells.set(catalogue, bell);
  return bell;
}

export function wake(catalogue: Catalogue, news: News): void {
  bellOf(catalogue).emit(news);
}

export interface Listening extends Disposable {
  /** Resolves at the next news, at once if there was some since the last call, or after `ms`. Rejects with `cancelled`. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** Listens from now on: look at the tables after this, not before, and nothing is missed. */
export function listenFor(catalogue: Catalogue, news: News, clock: Clock): Listening {
  let rang = false;
  let waiting: AbortController | undefined;
  const ring = (): void => {
    rang = true;
    waiting?.abort(woken);
  };
  const bell = bellOf(catalogue).on(news, ring);
  return {
    async wait(ms, signal) {
      waiting = new AbortController();
      if (rang) waiting.abort(woken);
      try {
        await clock.sleep(ms, { signal: AbortSignal.any([signal, waiting.signal]) });
      } catch (error) {
        if (signal.aborted || !hasCode(error, 'cancelled')) throw error;
      }
      rang = false;
    },
    [Symbol.dispose]: () => void bell.off(news, ring),
  };
}
