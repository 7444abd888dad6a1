/** The beginning of a window's record: it waits for its turn, and takes over what earlier windows left stopped. */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { claimedBy, type Share, shareOf, touchedBy } from './claims.ts';
import { createRecord, leftRecords, type OpenRecord, recordsInWork, takeOver, type WindowRecord } from './records.ts';

/** Where it is written down what has to be started again. */
export interface WindowRecords {
  /**
   * Returns when it is written, nobody else works on what it claims, and it has what earlier windows left stopped of that.
   * `storage.io`, `cancelled`; then nothing is to be done.
   */
  create(record: WindowRecord, waiting: Waiting): Promise<OpenWindow>;
}

export interface Waiting {
  readonly clock: Clock;
  /** Ends the waiting only. */
  readonly signal: AbortSignal;
  /** Once, if it has to wait: what another one has. */
  readonly onWait: (claim: string) => void;
}

export interface OpenWindow extends OpenRecord {
  readonly taken: Taken;
}

/** Of windows that were left: it is to be done at the end of this one. */
export interface Taken extends Pick<WindowRecord, 'stopped' | 'after'> {
  /** Of those windows of which nothing is left. */
  readonly ids: readonly string[];
}

const lookEveryMs = 1000;

/** In a directory of this machine. */
export function recordsIn(directory: string): WindowRecords {
  return {
    async create(record, waiting) {
      const open = await createRecord(directory, record);
      try {
        await waitForTurn(directory, { open, record }, waiting);
      } catch (error) {
        await open.remove();
        throw error;
      }
      return { ...open, taken: await takeOverLeft(directory, open, record) };
    },
  };
}

interface Entry {
  readonly open: OpenRecord;
  readonly record: WindowRecord;
}

/**
 * Written first and looked for others afterwards: of two that come at once, at least one sees the other. Who sees one takes
 * back its claims while it waits, and so two never wait for each other.
 */
async function waitForTurn(directory: string, { open, record }: Entry, { clock, signal, onWait }: Waiting) {
  const claims = record.claims ?? [];
  for (let isTold = false; ; isTold = true) {
    const claim = await claimedElsewhere(directory, claims, open.id);
    if (claim === undefined) return;
    if (!isTold) onWait(claim);
    await open.write({ ...record, claims: undefined, stopped: [], after: [] });
    do await clock.sleep(lookEveryMs * (0.5 + Math.random()), { signal });
    while ((await claimedElsewhere(directory, claims, open.id)) !== undefined);
    await open.write(record);
  }
}

/** One of `claims` that a process which lives has for another window. */
export async function claimedElsewhere(
  directory: string,
  claims: readonly string[],
  ownId?: string,
): Promise<string | undefined> {
  if (claims.length === 0) return undefined;
  const others = (await recordsInWork(directory)).filter(({ id }) => id !== ownId);
  const theirs = new Set(others.flatMap(({ record }) => claimedBy(record)));
  return claims.find((claim) => theirs.has(claim));
}

async function takeOverLeft(directory: string, open: OpenRecord, record: WindowRecord): Promise<Taken> {
  const claims = new Set(record.claims);
  let taken: Taken = { stopped: [], after: [], ids: [] };
  try {
    for (const left of await leftRecords(directory, { own: true })) {
      if (!left.record || !touchedBy(left.record).some((claim) => claims.has(claim))) continue;
      const from = await takeOver(directory, left);
      if (!from) continue;
      const share = from.record && shareOf(from.record, { record: withTaken(record, taken), claims });
      const more = share ? withShare(taken, share, from.id) : taken;
      await open.write(withTaken(record, more)).catch(async (error: unknown) => {
        await from.leave();
        throw error;
      });
      // It stands here now: whoever dies before the next line, what has to be started stands in both.
      taken = more;
      await (share && !share.rest ? from.remove() : from.leave(share?.rest));
    }
    return taken;
  } catch (cause) {
    const { stopped, after } = taken;
    await (stopped.length + after.length > 0 ? open.leave({ ...record, stopped, after }) : open.remove());
    throw new HoldfastError({
      code: 'storage.io',
      message: `what an earlier backup left stopped cannot be taken over in ${directory}: ${messageOf(cause)}`,
      remedy: 'Make it writable for this user, and look whether its disk is full. Nothing was stopped.',
      cause,
    });
  }
}

function withTaken(record: WindowRecord, { stopped, after }: Taken): WindowRecord {
  return { ...record, stopped, after: [...record.after, ...after] };
}

function withShare({ stopped, after, ids }: Taken, share: Share, id: string): Taken {
  return {
    stopped: [...stopped, ...share.stopped],
    after: [...after, ...share.after],
    ids: share.rest ? ids : [...ids, id],
  };
}
