/** Channels as a configuration declares them, ready to send, and events to send. */
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig, readSecret } from '../../src/config/index.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { type EventType, type HoldfastEvent, severityOf } from '../../src/model/event.ts';
import type { Channel } from '../../src/notify/channel.ts';
import { compose } from '../../src/notify/compose.ts';
import type { Message } from '../../src/notify/message.ts';
import { OpenChannels } from '../../src/notify/open-channels.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import type { ChannelPlan } from '../../src/notify/route.ts';
import type { HttpExchanges } from '../../src/protocols/http/exchange.ts';
import { storageKinds } from '../../src/storage/registry.ts';

type Env = Readonly<Record<string, string>>;

/** The entries of `notifications:` in a text. */
export function plansOf(yaml: string): ChannelPlan[] {
  const known = { drivers, storageKinds, hostKinds: [], channelKinds };
  return [...parseConfig('/holdfast.yaml', Buffer.from(yaml), known).notifications.values()];
}

export function openChannels(env: Env = {}, exchanges?: HttpExchanges): OpenChannels {
  return new OpenChannels({
    kinds: channelKinds,
    clock: systemClock,
    secret: (reference, owner) =>
      readSecret(reference, owner, { env, run: () => Promise.reject(new Error('nothing is run here')) }),
    env: {},
    ...(exchanges === undefined ? {} : { exchanges: () => exchanges }),
  });
}

/** The only entry, opened. */
export async function openOne(yaml: string, env?: Env, exchanges?: HttpExchanges): Promise<Channel> {
  const [plan] = plansOf(yaml);
  return await openChannels(env, exchanges).open(plan);
}

let count = 0;

export function trialEvent(type: EventType, more: Partial<HoldfastEvent> = {}): HoldfastEvent {
  return {
    id: `01KAJD2Q0V6Z3M8RWQ4D7X${String(count++).padStart(4, '0')}`,
    type,
    severity: severityOf(type),
    atMs: Date.UTC(2026, 10, 21, 2, 0, 31),
    title: `the ${type.split('.')[0]} of shop into nas ${type.split('.')[1]}`,
    source: 'shop',
    repository: 'nas',
    policy: 'nightly',
    run: '01KAJD2P000000000000000000',
    facts: { kind: type.split('.')[0] },
    ...more,
  };
}

export const failure = (more: Partial<HoldfastEvent> = {}): HoldfastEvent =>
  trialEvent('backup.failed', {
    message: 'nas: 10.0.0.9 did not answer',
    remedy: 'Check that the NAS is there.',
    errorCode: 'storage.unreachable',
    ...more,
  });

export function messageOf(...events: readonly HoldfastEvent[]): Message {
  const tellings = events.map((event) => ({
    event,
    times: 1,
    sinceMs: event.atMs,
    isRecovery: event.severity === 'info',
  }));
  return compose(tellings, { serverUrl: 'https://backup.example' });
}
