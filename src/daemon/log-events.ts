/**
 * Says in the log what went wrong: a line for each run that failed, was missed or was lost, whoever performed it, for each
 * configuration that is refused, and for whatever else is told as an error.
 */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { followHappenings } from '../catalogue/happenings.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { HoldfastEvent } from '../model/event.ts';

interface Parts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'error'>;
}

/** Of what happens after that event. Gives the work for `Background`: begun anew after a fault it goes on where it was. */
export function logEvents({ catalogue, clock, log }: Parts, afterId: string): (signal: AbortSignal) => Promise<void> {
  let seen = afterId;
  return async (signal) => {
    const filter = { severities: ['error'] } as const;
    for await (const event of followHappenings(catalogue, { afterId: seen, filter }, { signal, clock })) {
      log.error(factsOf(event), event.title);
      seen = event.id;
    }
  };
}

/** Words that people are sent, too: they hold no secrets. */
function factsOf({ type, id, run, source, repository, policy, errorCode, message, remedy }: HoldfastEvent) {
  const facts = { event: type, id, run, source, repository, policy, code: errorCode, error: message, remedy };
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
