/** The connection of an exchange: known to the server by more than a number, so that it can be ended from another one. */
import type { Clock } from '../../../base/clock.ts';
import { HoldfastError } from '../../../base/errors.ts';
import { isServerError, type Session } from '../session.ts';

export interface Identity {
  readonly thread: string;
  /** Where the server sees it come from; with a number that a restart may give again it is one connection only. */
  readonly from: string;
}

const pauseMs = 100;
const mostPauses = 300;

export async function identityOf(session: Session): Promise<Identity> {
  const thread = String(session.threadId);
  return { thread, from: (await find(session, thread)) ?? '' };
}

/** Ends it and waits until it has: what it still did is done then, or never will be. `source.busy` if it goes on. */
export async function endConnection(session: Session, { thread, from }: Identity, clock: Clock): Promise<void> {
  for (let pause = 0; pause < mostPauses; pause++) {
    if ((await find(session, thread)) !== from) return;
    await session.run(`KILL ${thread}`).catch((error: unknown) => {
      // it has gone by itself
      if (!isServerError(error) || error.errno !== 1094) throw error;
    });
    await clock.sleep(pauseMs);
  }
  throw new HoldfastError({
    code: 'source.busy',
    message: `the connection ${thread} of this restore to ${session.place.title} does not end`,
    remedy: `End it: KILL ${thread}`,
    retry: 'later',
  });
}

async function find(session: Session, thread: string): Promise<string | undefined> {
  const rows = await session.rows('SHOW PROCESSLIST');
  const row = rows.find(({ Id }) => Id === thread);
  return row && (row.Host ?? '');
}
