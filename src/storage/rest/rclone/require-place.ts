/** Whether the place of a remote is there: rclone's REST server lists a folder that is missing as it lists an empty one. */
import type { Clock } from '../../../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../../../base/errors.ts';
import { type Launch, startProgram } from './program.ts';

/** rclone's own exit status (https://rclone.org/docs/#exit-code); buckets have no folders, there it is the bucket. */
const directoryNotFound = 3;
/** Options of `rclone serve restic` that a list does not know. */
const ofTheServer = /^--(?:append-only|cache-objects|private-repos)(?:=|$)/;

export interface RemotePlace {
  readonly launch: Omit<Launch, 'argv'>;
  readonly options: readonly string[];
  readonly remote: string;
  /** How long rclone may take. */
  readonly mostMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** `storage.not-found`. Whatever else is wrong with the remote is left to who uses it: that says more. */
export async function requireRemotePlace(asked: RemotePlace): Promise<void> {
  const { launch, options, remote, mostMs, clock, signal } = asked;
  const argv = ['lsf', '--max-depth=1', ...options.filter((one) => !ofTheServer.test(one)), '--', remote];
  const program = await startProgram({ ...launch, argv }, clock);
  program.socket.resume(); // the names are not wanted
  const over = new AbortController();
  const late = clock.sleep(mostMs, { signal: AbortSignal.any([signal, over.signal]) }).catch(() => undefined);
  try {
    const status = await Promise.race([program.exit, late]);
    throwIfCancelled(signal);
    if (status === directoryNotFound) throw placeMissing(launch.place);
  } finally {
    over.abort();
    await program.end();
  }
}

function placeMissing(place: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.not-found',
    message: `${place} does not exist`,
    remedy: 'Connect and mount what holds it, or correct the address.',
  });
}
