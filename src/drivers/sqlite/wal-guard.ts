/** Watches the write-ahead log while a read transaction keeps it from being restarted: it must not fill the disk. */
import { formatBytes } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';

const leastLimit = 1 << 30;

/** Growth the log may have: as set, or 1 GiB, or a quarter of the free space if that is more. */
export async function walLimit(setting: number | undefined, freeBytes: () => Promise<number>): Promise<number> {
  return setting ?? Math.max(leastLimit, Math.floor((await freeBytes()) / 4));
}

/**
 * Looks at the log until `stop`; calls `exceeded` once when it grew by more than the limit (or cannot be looked at), and then ends.
 * Looking must be stat alone: no descriptor.
 */
export async function watchWal(watch: {
  /** For messages. */
  name: string;
  /** The log's bytes now. */
  look: () => Promise<number>;
  lookEveryMs: number;
  limitBytes: number;
  clock: Clock;
  stop: AbortSignal;
  exceeded: (error: unknown) => void;
}): Promise<void> {
  const { name, look, limitBytes, clock, stop, exceeded } = watch;
  try {
    const before = await look();
    while (!stop.aborted) {
      const grown = (await look()) - before;
      if (grown > limitBytes) return exceeded(grewTooLarge(name, grown, limitBytes));
      await clock.sleep(watch.lookEveryMs, { signal: stop, background: true });
    }
  } catch (error) {
    if (!(stop.aborted && hasCode(error, 'cancelled'))) exceeded(error);
  }
}

function grewTooLarge(name: string, grown: number, limit: number): HoldfastError {
  return new HoldfastError({
    code: 'source.busy',
    message: `the write-ahead log of ${name} grew by ${formatBytes(grown)} during the backup, more than the ${formatBytes(limit)} allowed`,
    remedy:
      'Back up when less is written, set fingerprint to counts or off so that the state is held for less time, or raise maxWalBytes.',
    retry: 'later',
    context: { grownBytes: grown, limitBytes: limit },
  });
}
