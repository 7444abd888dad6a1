/**
 * Between processes, over the PostgreSQL of the catalogue: pg-boss hands each id to one of the workers that have room. A job
 * is done with as soon as it was fetched: whether the run goes well is no business of the queue's.
 */
import pg from 'pg';
import { PgBoss } from 'pg-boss';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { closingClient } from '../../catalogue/closing-client.ts';
import { notSignedIn, postgresAddress } from '../../catalogue/open.ts';
import { type Handed, type Lane, lanes, type Queue, type Taking } from './queue.ts';

export interface PgBossOptions {
  readonly url: string;
  readonly password?: string;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** How often a worker with room looks. */
  readonly pollMs?: number;
}

const schema = 'holdfast_queue';
const usualPollMs = 400;
/** An id nobody wanted for so long is handed over again anyway. */
const retentionSeconds = 3600;
const nameOf = (lane: Lane): string => `runs-${lane}`;

/** Starts it; tables of its own are made in the schema `holdfast_queue`. `catalogue.unreachable`. */
export async function openPgBossQueue(options: PgBossOptions): Promise<Queue> {
  const { url, password, log } = options;
  const { title, connectionString } = postgresAddress({ url, password });
  const settings = {
    connectionString,
    schema,
    schedule: false,
    max: 3,
    connectionTimeoutMillis: 10_000,
    application_name: 'holdfast queue',
    // It goes on to its pool.
    Client: closingClient(pg.Client),
  };
  const boss = new PgBoss(settings);
  // It looks after itself and goes on; what does not get through is handed over again.
  boss.on('error', (error: unknown) => log.warn({ error: messageOf(error) }, 'the queue met an error'));
  try {
    await boss.start();
    for (const lane of lanes) {
      await boss.createQueue(nameOf(lane), {
        policy: 'exclusive',
        retryLimit: 0,
        expireInSeconds: 60,
        retentionSeconds,
        deleteAfterSeconds: 60,
      });
    }
  } catch (cause) {
    await boss.stop({ graceful: false }).catch(() => undefined); // it may not have come so far
    const refused = notSignedIn(title, cause);
    if (refused) throw refused;
    throw new HoldfastError({
      code: 'catalogue.unreachable',
      message: `the queue in the catalogue's database cannot be opened: ${messageOf(cause)}`,
      remedy: `Check that the database is there and that its user may make the schema ${schema}.`,
      retry: 'later',
      cause,
    });
  }
  return new PgBossQueue(boss, options);
}

class PgBossQueue implements Queue {
  readonly #boss: PgBoss;
  readonly #options: PgBossOptions;
  #ring = new AbortController();

  constructor(boss: PgBoss, options: PgBossOptions) {
    this.#boss = boss;
    this.#options = options;
  }

  async hand(runs: readonly Handed[]): Promise<void> {
    for (const [lane, group] of Map.groupBy(runs, (one) => one.lane)) {
      await this.#boss.insert(
        nameOf(lane),
        group.map(({ id }) => ({ data: { id }, singletonKey: id })),
      );
    }
    this.wake();
  }

  wake(): void {
    this.#ring.abort();
  }

  async serve(taking: Taking, signal: AbortSignal): Promise<void> {
    const { clock, log, pollMs = usualPollMs } = this.#options;
    while (!signal.aborted) {
      this.#ring = new AbortController();
      try {
        if (await this.#takeSome(taking)) continue;
      } catch (error) {
        if (!signal.aborted) log.warn({ error: messageOf(error) }, 'the queue cannot be read; trying again');
      }
      try {
        await clock.sleep(pollMs, { signal: AbortSignal.any([signal, this.#ring.signal]) });
      } catch (error) {
        if (!hasCode(error, 'cancelled')) throw error;
      }
    }
  }

  /** True if there was something. */
  async #takeSome({ lanes: wanted, room, take }: Taking): Promise<boolean> {
    let some = false;
    for (const lane of wanted) {
      const batchSize = room();
      if (batchSize <= 0) return false;
      const jobs = await this.#boss.fetch<{ readonly id: string }>(nameOf(lane), { batchSize });
      if (jobs.length === 0) continue;
      some = true;
      await this.#boss.deleteJob(
        nameOf(lane),
        jobs.map((job) => job.id),
      );
      for (const job of jobs) await take(job.data.id);
    }
    return some;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ring.abort();
    await this.#boss.stop({ graceful: false, close: true });
  }
}
