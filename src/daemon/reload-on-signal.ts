/** `systemctl reload`, `kill -HUP`: the configuration is read again at once, labels too. */
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ConfigStore } from '../operations/configuration/config-store.ts';

/** Until the signal is aborted. restic sends the same to whoever holds a lock, to see whether it lives: reading once more does no harm. */
export async function reloadOnSignal(store: ConfigStore, log: Log, signal: AbortSignal): Promise<void> {
  const reload = (): void => {
    store.reload().then(
      ({ outcome, message }) =>
        log.info({ outcome, ...(message === undefined ? {} : { message }) }, 'configuration read again'),
      (error: unknown) => log.error({ error: messageOf(error) }, 'the configuration could not be read again'),
    );
  };
  process.on('SIGHUP', reload);
  try {
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    process.off('SIGHUP', reload);
  }
}
