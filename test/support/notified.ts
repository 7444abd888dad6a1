/** Channels of a test that keep what they are sent, behave as they are told, and live by a clock that is moved. */
import { z } from 'zod';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import { listHappenings, type NewHappening, recordHappening } from '../../src/catalogue/happenings.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';
import type { AnyChannelKind, BegunRun } from '../../src/notify/channel.ts';
import { Router } from '../../src/notify/delivery/router.ts';
import { Sender } from '../../src/notify/delivery/sender.ts';
import type { Message } from '../../src/notify/message.ts';
import { OpenChannels } from '../../src/notify/open-channels.ts';
import type { ChannelPlan } from '../../src/notify/route.ts';

export const minute = 60_000;
export const hour = 60 * minute;

export interface Sent {
  readonly channel: string;
  readonly message: Message;
}

export class TrialChannels {
  readonly sent: Sent[] = [];
  readonly attempts: Sent[] = [];
  readonly begun: BegunRun[] = [];
  beats = 0;
  /** Rejects or hangs for what is to fail. */
  behave: (one: Sent, signal: AbortSignal) => Promise<void> | void = () => undefined;

  get kinds(): AnyChannelKind[] {
    return (['people', 'machines', 'checks'] as const).map((name) => ({
      name,
      title: name,
      audience: name === 'people' ? 'people' : 'machines',
      settings: z.unknown(),
      open: async (_settings, { name: channel }) => ({
        title: channel,
        send: async (message: Message, signal: AbortSignal) => {
          const one = { channel, message };
          this.attempts.push(one);
          await this.behave(one, signal);
          this.sent.push(one);
        },
        ...(name === 'checks'
          ? {
              begun: async (run: BegunRun) => void this.begun.push(run),
              heartbeat: { everyMs: 5 * minute, beat: async () => void this.beats++ },
            }
          : {}),
      }),
    }));
  }

  /** The titles of what a channel was sent. */
  titles(channel: string): string[] {
    return this.sent.filter((one) => one.channel === channel).map(({ message }) => message.title);
  }
}

export function planOf(
  name: string,
  kind: 'people' | 'machines' | 'checks',
  more: Partial<ChannelPlan> = {},
): ChannelPlan {
  return { name, kind, settings: {}, on: [], sources: [], policies: [], repositories: [], workspaces: [], ...more };
}

export function refusal(retry: 'never' | 'later', retryAfterMs?: number): HoldfastError {
  const asked = retryAfterMs === undefined ? {} : { context: { retryAfterMs } };
  return new HoldfastError({ code: 'channel.failed', message: 'it says no', remedy: 'Ask it.', retry, ...asked });
}

export interface LogLine {
  readonly level: 'warn' | 'error';
  readonly text: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** As much of a log as is used. */
export function keptLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (level: LogLine['level']) => (facts: LogLine['facts'] | string, text?: string) =>
    void lines.push(typeof facts === 'string' ? { level, text: facts, facts: {} } : { level, text: text ?? '', facts });
  return { log: { warn: keep('warn'), error: keep('error') } as unknown as Log, lines };
}

/** Routes and sends as the notifier does, at the time it is told. */
export class Desk {
  readonly catalogue: Catalogue;
  readonly channels: TrialChannels;
  readonly plans: ChannelPlan[];
  readonly log = keptLog();
  readonly #time: { nowMs: number };
  #router: Router;
  #sender: Sender;
  #seen = '';

  private constructor(catalogue: Catalogue, time: { nowMs: number }, channels: TrialChannels, plans: ChannelPlan[]) {
    this.catalogue = catalogue;
    this.#time = time;
    this.channels = channels;
    this.plans = plans;
    [this.#router, this.#sender] = this.#made();
  }

  static async open(real: Catalogue, plans: ChannelPlan[]): Promise<Desk> {
    const time = { nowMs: Date.UTC(2026, 10, 21) };
    const catalogue = { ...real, nowMs: async () => time.nowMs, [Symbol.asyncDispose]: async () => undefined };
    const desk = new Desk(catalogue, time, new TrialChannels(), plans);
    await desk.restart();
    return desk;
  }

  get nowMs(): number {
    return this.#time.nowMs;
  }

  /** Everything that is not in the catalogue is forgotten. */
  async restart(): Promise<void> {
    [this.#router, this.#sender] = this.#made();
    this.#seen = await this.#router.begin();
  }

  async happens(...events: readonly NewHappening[]): Promise<void> {
    for (const event of events) await recordHappening(this.catalogue, event);
  }

  async failsAt(source: string, more: Partial<NewHappening> = {}): Promise<void> {
    await this.happens({
      type: 'backup.failed',
      title: `the backup of ${source} failed`,
      source,
      errorCode: 'storage.unreachable',
      ...more,
    });
  }

  async succeedsAt(source: string): Promise<void> {
    await this.happens({ type: 'backup.succeeded', title: `${source} was backed up`, source });
  }

  /** From one thing that is due to the next. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const nextMs = await this.work();
      if (nextMs > untilMs) break;
      this.#time.nowMs = Math.max(nextMs, this.nowMs);
    }
    this.#time.nowMs = untilMs;
    await this.work();
  }

  /** The machine is off for so long: nothing is done. */
  sleeps(ms: number): void {
    this.#time.nowMs += ms;
  }

  /** All there is to do now; when there is more. */
  async work(): Promise<number> {
    const { signal } = new AbortController();
    for (;;) {
      await this.#routeAll();
      const next: (number | undefined)[] = [];
      for (const plan of this.plans) next.push(await this.#sender.sendDue(plan, signal));
      // A channel that failed, or came back, is something that happened.
      if (!(await this.#routeAll())) return Math.min(...next.map((one) => one ?? Infinity));
    }
  }

  async #routeAll(): Promise<boolean> {
    const rows = await this.catalogue.db
      .selectFrom('happening')
      .select('id')
      .where('id', '>', this.#seen)
      .orderBy('id')
      .execute();
    if (rows.length === 0) return false;
    const { events } = await listHappenings(this.catalogue, {}, { limit: rows.length });
    for (const event of events.toReversed()) await this.#router.route(event, this.plans);
    this.#seen = rows.at(-1)!.id;
    return true;
  }

  #made(): [Router, Sender] {
    const { kinds } = this.channels;
    const { catalogue } = this;
    const clock: Clock = { ...systemClock, nowMs: () => this.nowMs };
    const secret = () => Promise.reject(new Error('there are no secrets'));
    const router = new Router({ catalogue, kinds, workspacesOf: () => [] });
    const channels = new OpenChannels({ kinds, clock, secret, env: {} });
    return [
      router,
      new Sender({ catalogue, clock, log: this.log.log, kinds, channels, router, serverUrl: () => undefined }),
    ];
  }
}
