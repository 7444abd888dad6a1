import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keptLog, planOf, refusal, TrialChannels } from '../../test/support/notified.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { cancelled } from '../base/errors.ts';
import { recordHappening } from '../catalogue/happenings.ts';
import { acquireLease } from '../catalogue/leases.ts';
import { type Catalogue, openCatalogue } from '../catalogue/open.ts';
import { beginTelling, notifyAtEnd } from './notify-at-end.ts';
import type { ChannelPlan } from './route.ts';

/** Who sleeps wakes at once, and that much later. */
class HastyClock implements Clock {
  #nowMs = Date.UTC(2026, 10, 21, 2);
  nowMs = (): number => this.#nowMs;
  monotonicMs = (): number => this.#nowMs;
  pass(ms: number): void {
    this.#nowMs += ms;
  }
  async sleep(ms: number, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (ms >= 90_000) return await systemClock.sleep(100, { signal }); // the limits of what hangs
    await systemClock.sleep(1, { signal });
    // What goes on beside the work does not move the time.
    if (ms !== 15_000) this.pass(ms);
  }
}

let clock: HastyClock;
let catalogue: Catalogue;
let channels: TrialChannels;
let log: ReturnType<typeof keptLog>;
const phone = planOf('phone', 'people');

beforeEach(async () => {
  clock = new HastyClock();
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => clock.nowMs());
  channels = new TrialChannels();
  log = keptLog();
});
afterEach(async () => await catalogue[Symbol.asyncDispose]());

async function tell(plans: readonly ChannelPlan[] = [phone], signal = new AbortController().signal): Promise<number> {
  const parts = { catalogue, clock, log: log.log, kinds: channels.kinds, env: {}, plans: () => plans };
  const secret = (): Promise<never> => Promise.reject(new Error('there are no secrets'));
  return await notifyAtEnd({ ...parts, secret, workspacesOf: () => [] }, signal);
}

async function fails(source: string, facts: Record<string, number> = {}): Promise<void> {
  const title = `the backup of ${source} failed`;
  await recordHappening(catalogue, { type: 'backup.failed', title, source, errorCode: 'storage.unreachable', facts });
}

async function succeeds(source: string): Promise<void> {
  await recordHappening(catalogue, { type: 'backup.succeeded', title: `${source} was backed up`, source });
}

describe('telling at the end of a program', () => {
  it('puts what happened into one message at once, also what is tried again later', async () => {
    await fails('before');
    await beginTelling(catalogue);
    await fails('shop');
    await fails('wiki', { retryAtMs: clock.nowMs() + 300_000 });
    expect(await tell()).toBe(0);
    expect(channels.titles('phone')).toEqual(['2 backups failed: shop, wiki']);
  });

  it('goes on where the call before it ended: nothing twice, and the end of what it told', async () => {
    await beginTelling(catalogue);
    await fails('shop', { retryAtMs: clock.nowMs() + 300_000 });
    await tell();
    clock.pass(60_000);
    await beginTelling(catalogue);
    await tell();
    expect(channels.sent).toHaveLength(1);
    await succeeds('shop');
    await tell();
    expect(channels.sent).toHaveLength(2);
    expect(channels.sent[1].message.mood).toBe('good');
  });

  it('keeps what does not get through, says so, and the next call tells it', async () => {
    await beginTelling(catalogue);
    channels.behave = () => Promise.reject(refusal('later'));
    await fails('shop');
    expect(await tell()).toBe(1);
    expect(channels.attempts).toHaveLength(2);
    expect(log.lines.map(({ text }) => text)).toContain('a notification is tried again');
    channels.behave = () => undefined;
    clock.pass(600_000);
    expect(await tell()).toBe(0);
    expect(channels.titles('phone')).toEqual(['The backup of shop failed']);
  });

  it('is not held up by a channel that hangs', async () => {
    await beginTelling(catalogue);
    channels.behave = ({ channel }) => (channel === 'hanging' ? new Promise(() => undefined) : undefined);
    await fails('shop');
    expect(await tell([planOf('hanging', 'people'), phone])).toBe(1);
    expect(channels.titles('phone')).toContain('The backup of shop failed');
  });

  it('tells nothing twice when two end at once', async () => {
    await beginTelling(catalogue);
    channels.behave = () => systemClock.sleep(5);
    await fails('shop');
    await Promise.all([tell(), tell(), tell()]);
    expect(channels.sent).toHaveLength(1);
  });

  it('leaves it to a server that tells, and does not wait for it for ever', async () => {
    await beginTelling(catalogue);
    await acquireLease(catalogue, { name: 'notifications', holder: 'server', leaseMs: 3_600_000 });
    await fails('shop');
    const before = clock.nowMs();
    await tell();
    expect(channels.sent).toEqual([]);
    expect(clock.nowMs() - before).toBeLessThan(60_000);
  });

  it('shows a sign of life each time, and follows what happened without any channel', async () => {
    await beginTelling(catalogue);
    await fails('shop');
    expect(await tell([])).toBe(0);
    await tell([planOf('alive', 'checks'), phone]);
    await tell([planOf('alive', 'checks'), phone]);
    expect(channels.beats).toBe(2);
    expect(channels.sent).toEqual([]);
  });

  it('ends at once when it is told to stop', async () => {
    await beginTelling(catalogue);
    await fails('shop');
    const stop = new AbortController();
    channels.behave = (_, signal) => {
      stop.abort(cancelled());
      return systemClock.sleep(60_000, { signal });
    };
    await expect(tell([phone], stop.signal)).rejects.toMatchObject({ code: 'cancelled' });
    channels.behave = () => undefined;
    await tell();
    expect(channels.titles('phone')).toEqual(['The backup of shop failed']);
  });
});
