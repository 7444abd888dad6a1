/** The connection of an exchange: known to the server by more than a number, so that it can be ended from another one. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../../base/clock.ts';
import { HoldfastError } from '../../../base/errors.ts';
import { isServerError, oneRow, type Session } from '../session.ts';
import type { Arrival } from './exchange.ts';

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

/** Two exchanges of one database would take each other's tables for their own. The lock ends with the connection. `source.busy`. */
export async function beAlone(session: Session, arrivals: readonly Arrival[], waitSeconds: number): Promise<void> {
  for (const target of arrivals.map((one) => one.target).toSorted()) {
    const name = `holdfast_${createHash('sha256').update(target.toLowerCase()).digest('hex').slice(0, 40)}`;
    const got = await session.row(`SELECT GET_LOCK('${name}', ${waitSeconds}) AS got`).catch((error: unknown) => {
      // some clusters have no such locks
      if (!isServerError(error)) throw error;
      return undefined;
    });
    if (got?.got !== '0') continue;
    const { holder } = await oneRow(session, `SELECT IS_USED_LOCK('${name}') AS holder`);
    throw new HoldfastError({
      code: 'source.busy',
      message: `another restore is exchanging ${target} on ${session.place.title}${holder ? `, with the connection ${holder}` : ''}`,
      remedy:
        'Wait until it has ended, and look at what it restored. If it broke off, its connection ends within a minute.',
      retry: 'later',
    });
  }
}

async function find(session: Session, thread: string): Promise<string | undefined> {
  const rows = await session.rows('SHOW PROCESSLIST');
  const row = rows.find(({ Id }) => Id === thread);
  return row && (row.Host ?? '');
}
