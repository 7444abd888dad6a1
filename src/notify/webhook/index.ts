/**
 * Events for programs, as JSON, one a request; signed as Standard Webhooks 1.0 describes: `webhook-id`, `webhook-timestamp`
 * (seconds) and `webhook-signature` = `v1,` and base64 of HMAC-SHA-256 over `id.timestamp.body`. The id is that of the
 * event, the same at every attempt; the timestamp is that of the attempt, so that a receiver may refuse old ones.
 */
import { createHmac } from 'node:crypto';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { HoldfastEvent } from '../../model/event.ts';
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { readCa, secretAddress, secretParts, secretText } from '../fields.ts';
import type { MessageItem } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { type Settings, settings } from './settings.ts';

export const webhook: ChannelKind<Settings> = {
  name: 'webhook',
  title: 'Webhook',
  audience: 'machines',
  settings,
  open,
};

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const { webhook: place, secret, headers = {} } = given;
  const text = typeof place === 'string' ? place : await secretText(uses, place, 'address');
  const address = secretAddress(text, uses.name);
  const key = secret && signingKey(await secretText(uses, secret, 'signing secret'), uses.name);
  const own: Record<string, string> = {};
  for (const [name, reference] of Object.entries(headers)) {
    own[name.toLowerCase()] = await secretText(uses, reference, `header ${name}`);
  }
  const hidden = typeof place === 'string' ? [] : secretParts(address);
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(await readCa(given.ca, uses.name)),
    title: address.host,
    secrets: [...Object.values(own), ...hidden],
    remedies: {
      401: 'Check the signing secret and the headers on both sides.',
      403: 'Check the signing secret and the headers on both sides.',
      410: 'The receiver wants no more of it: remove the channel, or correct the address.',
      other: 'Look at what the receiver says of it.',
    },
  };
  return {
    title: `webhook at ${address.host}`,
    send: async (message, signal) => {
      for (const item of message.items) {
        const body = JSON.stringify(payloadOf(item, message.link));
        const signed = signature({ id: item.event.id, seconds: Math.floor(uses.clock.nowMs() / 1000), body, key });
        await post(poster, {
          url: address,
          headers: { 'content-type': 'application/json', ...own, ...signed },
          body,
          signal,
        });
      }
    },
  };
}

/** `whsec_` is how Standard Webhooks writes a key; any other text is taken as it is. `config.invalid`. */
export function signingKey(text: string, owner: string): Buffer {
  if (!text.startsWith('whsec_')) return Buffer.from(text);
  const base64 = text.slice('whsec_'.length);
  const key = Buffer.from(base64, 'base64');
  if (/^[A-Za-z0-9+/]+=*$/.test(base64) && key.byteLength >= 24 && key.byteLength <= 64) return key;
  throw new HoldfastError({
    code: 'config.invalid',
    message: `${owner}: after whsec_ the signing secret is not base64 of 24 to 64 bytes`,
    remedy: 'Make one: echo "whsec_$(openssl rand -base64 32)"',
  });
}

export function signature(signed: {
  readonly id: string;
  readonly seconds: number;
  readonly body: string;
  readonly key?: Buffer;
}): Record<string, string> {
  const { id, seconds, body, key } = signed;
  const facts = { 'webhook-id': id, 'webhook-timestamp': String(seconds) };
  if (!key) return facts;
  const mac = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64');
  return { ...facts, 'webhook-signature': `v1,${mac}` };
}

/** What a receiver gets; see docs/notifications.md. Fields are added, never renamed. */
export interface WebhookPayload {
  readonly type: string;
  /** RFC 3339: when it happened. */
  readonly timestamp: string;
  readonly data: Omit<HoldfastEvent, 'type' | 'atMs'> & {
    readonly link?: string;
    /** How often it happened in a row, and since when; of a recovery, before it. */
    readonly times: number;
    readonly since: string;
    readonly recovered: boolean;
  };
}

function payloadOf({ event, times, sinceMs, mood }: MessageItem, link: string | undefined): WebhookPayload {
  const { type, atMs, ...rest } = event;
  const data = { ...rest, ...(link === undefined ? {} : { link }), times, since: formatInstant(sinceMs) };
  return { type, timestamp: formatInstant(atMs), data: { ...data, recovered: mood === 'good' } };
}
