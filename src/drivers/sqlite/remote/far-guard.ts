/** The write-ahead log of another host is watched while a lock there keeps it from being restarted. */
import type { SourceContext } from '../../driver.ts';
import type { Place } from '../place.ts';
import type { Settings } from '../settings.ts';
import { walLimit, watchWal } from '../wal-guard.ts';
import { lookAt } from './far-files.ts';
import type { FarHolder } from './lock-holder.ts';

/** Each look is a question to the host. */
const lookEveryMs = 1000;

export interface FarGuard {
  /** Set once the log had grown too large: the lock was given up then. */
  failure(): { readonly error: unknown } | undefined;
  /** Aborted then. */
  readonly lost: AbortSignal;
  /** Returns when it no longer looks. */
  stop(): Promise<void>;
}

/** Disposes the holder when the log grows by more than the settings allow; `freeBytes` where the host can tell them. */
export async function startGuard(
  { host, settings, clock }: SourceContext<Settings>,
  place: Place,
  holder: FarHolder & { readonly freeBytes?: () => Promise<number> },
): Promise<FarGuard> {
  const limitBytes = await walLimit(settings.maxWalBytes, async () => (await holder.freeBytes?.()) ?? 0);
  const stopping = new AbortController();
  const losing = new AbortController();
  let failure: { error: unknown } | undefined;
  const watching = watchWal({
    name: place.path,
    look: async () => (await lookAt(host, `${place.realPath}-wal`))?.size ?? 0,
    lookEveryMs,
    limitBytes,
    clock,
    stop: stopping.signal,
    exceeded: (error) => {
      failure = { error };
      // The lock is given up at once: a full disk is worse than a failed backup.
      void holder[Symbol.asyncDispose]();
      losing.abort(error);
    },
  });
  return {
    failure: () => failure,
    lost: losing.signal,
    stop: async () => {
      stopping.abort();
      await watching;
    },
  };
}
