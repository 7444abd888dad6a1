/**
 * ntfy: notifications on phones and desktops. Messages go as JSON to the server's root (docs.ntfy.sh/publish), so that titles
 * may hold any character. A message that is sent again carries the same sequence id: newer servers replace the first.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { readCa, secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { plain, render } from '../render.ts';
import { cut, utf8Bytes } from '../text.ts';
import { type Settings, settings } from './settings.ts';

/** `message-size-limit` of a server is 4096 bytes unless somebody changed it; beyond, the text becomes an attachment. */
const mostMessageBytes = 4000;

export const ntfy: ChannelKind<Settings> = {
  name: 'ntfy',
  title: 'ntfy',
  audience: 'people',
  settings,
  open,
};

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const address = new URL(given.ntfy);
  const at = address.pathname.lastIndexOf('/');
  const topic = address.pathname.slice(at + 1);
  const title = `${address.host}, topic ${topic}`;
  const { headers, secrets } = await signIn(given, uses);
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(await readCa(given.ca, uses.name)),
    title,
    secrets,
    remedies: {
      401: 'Correct the token, or user and password.',
      403: 'Allow this token or user to write to the topic, on the ntfy server.',
      404: 'Check the address: the server and the topic, https://ntfy.example/topic.',
      429: 'The server limits how much is sent; it is tried again later.',
      other: 'Look at what the ntfy server says.',
    },
  };
  return {
    title,
    send: async (message, signal) => {
      const url = new URL(address.pathname.slice(0, at + 1), address.origin);
      await post(poster, { url, headers, body: { topic, ...bodyOf(message, given) }, signal });
    },
  };
}

async function signIn(
  { token, user, password }: Settings,
  uses: ChannelUses,
): Promise<{ headers: Record<string, string>; secrets: string[] }> {
  if (token !== undefined) {
    const value = await secretText(uses, token, 'token');
    return { headers: { authorization: `Bearer ${value}` }, secrets: [value] };
  }
  if ((user === undefined) !== (password === undefined)) {
    const message = `${uses.name}: a user needs a password, and a password a user`;
    throw new HoldfastError({ code: 'config.invalid', message, remedy: 'Give both, or a token, or neither.' });
  }
  if (user === undefined || password === undefined) return { headers: {}, secrets: [] };
  const value = await secretText(uses, password, 'password');
  const basic = Buffer.from(`${user}:${value}`).toString('base64');
  return { headers: { authorization: `Basic ${basic}` }, secrets: [value, basic] };
}

const icons = { bad: 'rotating_light', good: 'white_check_mark', neutral: 'information_source' };

function bodyOf(message: Message, { tags, priorities }: Settings): Record<string, unknown> {
  const icon = message.mood === 'bad' && message.severity === 'warning' ? 'warning' : icons[message.mood];
  return {
    title: cut(message.title, 250),
    message: render(message, plain, { most: mostMessageBytes, size: utf8Bytes, titleElsewhere: true }),
    tags: [icon, ...tags],
    priority: priorities[message.severity],
    sequence_id: message.id,
    ...(message.link === undefined ? {} : { click: message.link }),
  };
}
