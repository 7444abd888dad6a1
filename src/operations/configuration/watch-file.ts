/**
 * Tells when a file may have changed: by looking at it every few seconds, and sooner where the system says that something
 * happened in its folder. Its folder, because editors put a new file in the place of the old one, and Kubernetes turns a
 * symbolic link round: a watch on the file itself would go with the old one.
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { hasCode, systemCode } from '../../base/errors.ts';

export class FileWatch implements Disposable {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #watcher: FSWatcher | undefined;
  #stirred = false;
  #waiting: AbortController | undefined;

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.#watcher = watcherOf(dirname(file), () => {
      this.#stirred = true;
      this.#waiting?.abort();
    });
  }

  /** What the file is now: another text after each change. */
  async look(): Promise<string> {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(this.#file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch (error) {
      return `unreadable: ${systemCode(error) ?? 'unknown'}`;
    }
  }

  /** Returns after `ms`, or as soon as something happens in the folder. `cancelled`. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#stirred) {
      this.#waiting = new AbortController();
      const either = AbortSignal.any([signal, this.#waiting.signal]);
      await this.#clock.sleep(ms, { signal: either, background: true }).catch((error: unknown) => {
        if (signal.aborted || !hasCode(error, 'cancelled')) throw error;
      });
    }
    this.#stirred = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}

/** `undefined` where the system has no more of them, or the folder is gone: looking every few seconds is enough then. */
function watcherOf(folder: string, stir: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, stir);
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}
