/** `holdfast worker`: takes runs from a catalogue in PostgreSQL that it shares with a server and other workers. */
import { HoldfastError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import { programVersion } from '../base/version.ts';
import { openCatalogue } from '../catalogue/open.ts';
import { catalogueAddress } from '../operations/open-catalogue.ts';
import type { Execution, SourceAccess } from '../operations/operation.ts';
import { startRunsHere } from '../operations/runs/runs-here.ts';
import { openAccess } from './live-configuration.ts';

export interface WorkRequest {
  readonly uses: SourceAccess & Execution;
  /** Runs at once. */
  readonly capacity: number;
  readonly logLevel: string;
  readonly say: (text: string) => void;
}

/** What is going on when it is told to stop may take so long to end by itself: less than what service managers wait for. */
const patienceMs = 9 * 60_000;

/** Works until the signal of `uses` is aborted, then ends in order. `usage.invalid` for a catalogue that cannot be shared. */
export async function work({ uses, capacity, logLevel, say }: WorkRequest): Promise<void> {
  const { clock, signal } = uses;
  const address = await catalogueAddress(uses);
  if (address.kind !== 'postgres') throw notShared();
  const log = createLog({ level: logLevel });
  await using catalogue = await openCatalogue(address, () => clock.nowMs());
  const execution = { clock, signal: new AbortController().signal };
  const { store, access } = await openAccess({ uses, catalogue, log }, true);
  const stopping = new AbortController();
  const following = store.follow(stopping.signal);
  await using runs = await startRunsHere({ catalogue, log, execution, capacity, access });
  say(`Holdfast ${programVersion} takes up to ${capacity} runs at a time from ${catalogue.title}`);
  await aborted(signal);
  log.info('stopping');
  await runs.stop(patienceMs);
  stopping.abort();
  await following;
  log.info('stopped');
}

function notShared(): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: 'a worker needs a catalogue in PostgreSQL, which it shares with the server',
    remedy: 'Write «server: catalogue: { postgres: "postgres://…" }», or let the server do the work alone.',
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
