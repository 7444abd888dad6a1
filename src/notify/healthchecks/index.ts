/**
 * Healthchecks, and what has its pings (healthchecks.io/docs/http_api): a check that is not pinged in time raises the alarm
 * elsewhere, also when this machine is gone. Either a check of runs (start, success, failure), or of Holdfast itself.
 */
import { createHash } from 'node:crypto';
import type { BegunRun, Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { secretAddress, secretParts, secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { plain, render } from '../render.ts';
import { utf8Bytes } from '../text.ts';
import { type Settings, settings } from './settings.ts';

/** A server keeps the first 100 kB. */
const mostBodyBytes = 10_000;

export const healthchecks: ChannelKind<Settings> = {
  name: 'healthchecks',
  title: 'Healthchecks',
  audience: 'machines',
  // What happens in runs is no matter of the check that says that Holdfast is alive: of trials only it is told.
  on: ({ heartbeatMinutes }) =>
    heartbeatMinutes === undefined
      ? ['backup.succeeded', 'backup.failed', 'backup.missed', 'run.lost']
      : ['notification.test'],
  settings,
  open,
};

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const place = given.healthchecks;
  const text = typeof place === 'string' ? place : await secretText(uses, place, 'address');
  const address = secretAddress(text.replace(/\/$/, ''), uses.name);
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(),
    title: `Healthchecks (${address.host})`,
    secrets: secretParts(address),
    remedies: {
      400: 'Check the ping address.',
      404: 'There is no such check any more: correct the ping address.',
      409: 'Several checks have this slug: use the address with the UUID.',
      other: 'Look at what the server says of it.',
    },
  };
  const ping = async (signal: AbortSignal, { path, run, body = '' }: Ping): Promise<void> => {
    const url = new URL(address);
    url.pathname += path;
    if (run !== undefined) url.searchParams.set('rid', uuidOf(run));
    await post(poster, { url, body, signal });
  };
  const title = `Healthchecks at ${address.host}`;
  const { heartbeatMinutes } = given;
  if (heartbeatMinutes !== undefined) {
    const beat = (signal: AbortSignal): Promise<void> => ping(signal, { path: '' });
    const send = (message: Message, signal: AbortSignal): Promise<void> =>
      ping(signal, { path: '/log', body: bodyOf(message) });
    return { title, send, heartbeat: { everyMs: heartbeatMinutes * 60_000, beat } };
  }
  return {
    title,
    send: (message, signal) =>
      ping(signal, { path: pathOf(message), run: message.items[0].event.run, body: bodyOf(message) }),
    begun: (run: BegunRun, signal) => ping(signal, { path: '/start', run: run.id }),
  };
}

interface Ping {
  readonly path: '' | '/start' | '/fail' | '/log';
  readonly run?: string;
  readonly body?: string;
}

/**
 * A check has one state for all it was declared for: while something of it is failed, the success of something else is only
 * logged, or the alarm would end too early.
 */
function pathOf({ mood, items, standing }: Message): Ping['path'] {
  if (mood === 'bad') return items[0].event.severity === 'error' ? '/fail' : '/log';
  const isSuccess = items[0].event.type.endsWith('.succeeded') || mood === 'good';
  return isSuccess && standing === 0 ? '' : '/log';
}

function bodyOf(message: Message): string {
  return render(message, plain, { most: mostBodyBytes, size: utf8Bytes });
}

/** Start and end of a run belong together by a UUID. */
function uuidOf(run: string): string {
  const hex = createHash('sha256').update(run).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
