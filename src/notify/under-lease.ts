/** One at a time tells what happens, of all processes on one catalogue: whoever holds the lease. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { cancelled, hasCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { acquireLease, keepLease, type Lease, releaseLease } from '../catalogue/leases.ts';
import type { Catalogue } from '../catalogue/open.ts';

interface Parts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
}

const leaseName = 'notifications';
const leaseMs = 60_000;
const keepMs = 15_000;

/** False if somebody else holds it. The work's signal is aborted when the lease is lost; then it counts as done. */
export async function underLease(
  parts: Parts,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<boolean> {
  const lease = await acquireLease(parts.catalogue, { name: leaseName, holder: randomUUID(), leaseMs });
  if (lease) await workUnder(parts, lease, { signal, work });
  return lease !== undefined;
}

async function workUnder(
  { catalogue, clock, log }: Parts,
  lease: Lease,
  { signal, work }: { readonly signal: AbortSignal; readonly work: (signal: AbortSignal) => Promise<void> },
): Promise<void> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const keep = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(keepMs, { signal: both });
      if (await keepLease(catalogue, lease, leaseMs)) continue;
      log.warn('another server tells what happens from now on');
      return;
    }
  };
  const tasks = [keep(), work(both)].map((task) => task.finally(() => over.abort(cancelled())));
  const ends = await Promise.allSettled(tasks);
  await releaseLease(catalogue, lease);
  const fault = ends.find((end) => end.status === 'rejected' && !hasCode(end.reason, 'cancelled'));
  if (fault?.status === 'rejected' && !signal.aborted) throw fault.reason;
}
