/** One process at a time decides what is due and what may begin; when it dies, another one goes on. */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { acquireLease, keepLease, type Lease, releaseLease } from '../../catalogue/leases.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type CatalogueTransaction, inTransaction } from '../../catalogue/transaction.ts';

const leaseName = 'scheduler';

export interface LeaderOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  /** Unique among all processes. */
  readonly name: string;
  readonly leaseMs: number;
}

export class Leader {
  readonly #options: LeaderOptions;
  #lease: Lease | undefined;
  /** On the monotonic clock: until then it is not asked again. */
  #freshUntilMs = 0;

  constructor(options: LeaderOptions) {
    this.#options = options;
  }

  get isLeading(): boolean {
    return this.#lease !== undefined;
  }

  /** True if this process leads now. Keeps the lease when a third of it is over. */
  async lead(): Promise<boolean> {
    const { catalogue, clock, name: holder, leaseMs } = this.#options;
    if (this.#lease && clock.monotonicMs() < this.#freshUntilMs) return true;
    const beganMs = clock.monotonicMs();
    this.#lease = this.#lease
      ? await keepLease(catalogue, this.#lease, leaseMs)
      : await acquireLease(catalogue, { name: leaseName, holder, leaseMs });
    this.#freshUntilMs = beganMs + leaseMs / 3;
    return this.#lease !== undefined;
  }

  /**
   * A transaction of the leader: it is undone if somebody else leads by now, so of what two decide at once only one comes
   * true. `run.conflict` then.
   */
  async decide<Result>(work: (transaction: CatalogueTransaction) => Promise<Result>): Promise<Result> {
    const lease = this.#lease;
    return await inTransaction(this.#options.catalogue, async (transaction) => {
      const { numUpdatedRows } = await transaction.db
        .updateTable('lease')
        .set((eb) => ({ untilMs: eb.ref('untilMs') }))
        .where('name', '=', leaseName)
        .where('holder', '=', lease?.holder ?? '')
        .where('fence', '=', lease?.fence ?? -1)
        .where('untilMs', '>=', transaction.nowMs)
        .executeTakeFirst();
      if (numUpdatedRows > 0n) return await work(transaction);
      this.#lease = undefined;
      throw new HoldfastError({
        code: 'run.conflict',
        message: 'another process schedules the runs by now',
        remedy: 'Nothing needs to be done: this one waits for its turn.',
        retry: 'later',
      });
    });
  }

  /** The next one need not wait for the lease to end. */
  async release(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease) await releaseLease(this.#options.catalogue, lease);
  }
}
