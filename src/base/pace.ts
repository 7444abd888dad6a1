/**
 * How fast bytes may pass, for whoever moves them. The pace goes with the call that was given it, through everything between
 * a storage and its socket: whoever writes or reads there asks before each piece, and is let through at once where nobody
 * set a pace.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export type PaceBytes = (bytes: number) => Promise<void>;

/** What is let through at once: small enough that a slow pace never looks like a connection that went silent. */
export const pacedBytes = 64 << 10;

const paces = new AsyncLocalStorage<PaceBytes>();

/** Runs `task` and everything it calls at a pace. */
export async function atPace<T>(pace: PaceBytes, task: () => Promise<T>): Promise<T> {
  return await paces.run(pace, task);
}

/** Resolves when this many bytes may pass; rejects if that is cancelled. `undefined`: at once. */
export function paceOf(bytes: number): Promise<void> | undefined {
  return paces.getStore()?.(bytes);
}

/** The pace of the call this is asked in, for events that come outside of it. */
export function currentPace(): PaceBytes | undefined {
  return paces.getStore();
}

/** The piece itself where no pace is set, else slices that each wait for their turn. */
export async function* atItsPace(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  const pace = paces.getStore();
  if (!pace) return yield piece;
  for (let at = 0; at < piece.byteLength; at += pacedBytes) {
    const slice = piece.subarray(at, at + pacedBytes);
    await pace(slice.byteLength);
    yield slice;
  }
}
