/**
 * Preloaded into the program (node --import): at its end it says on stderr who still listens to a signal that was never
 * aborted. Node keeps a signal made of others for ever while somebody listens, with all that the listener knows.
 */
import { getEventListeners } from 'node:events';
import { isMainThread } from 'node:worker_threads';

export const mark = 'still listens to a signal: ';

type Listener = Parameters<AbortSignal['addEventListener']>[1];

if (isMainThread && process.env.NODE_OPTIONS?.includes('left-listeners')) {
  const placesBySignal = new Map<AbortSignal, Map<Listener, string>>();
  const { addEventListener } = AbortSignal.prototype;
  AbortSignal.prototype.addEventListener = function add(type: string, listener: Listener, options?: object | boolean) {
    const places = placesBySignal.get(this) ?? new Map<Listener, string>();
    placesBySignal.set(this, places.set(listener, new Error('added').stack!.split('\n').slice(2, 6).join('')));
    addEventListener.call(this, type, listener, options);
  };
  process.on('exit', () => {
    for (const [signal, places] of placesBySignal) {
      if (signal.aborted) continue;
      for (const left of getEventListeners(signal, 'abort')) {
        process.stderr.write(`${mark}${places.get(left as Listener)}\n`);
      }
    }
  });
}
