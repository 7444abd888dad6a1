/** Pushover (pushover.net/api): messages of 1024 characters, titles of 250. Priority 2 rings every minute for an hour until somebody confirms. */
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { plain, render } from '../render.ts';
import { characters, cut } from '../text.ts';
import { type Settings, settings } from './settings.ts';

const mostCharacters = 1024;
const mostUrlLength = 512;
const address = new URL('https://api.pushover.net/1/messages.json');

export const pushover: ChannelKind<Settings> = {
  name: 'pushover',
  title: 'Pushover',
  audience: 'people',
  settings,
  open,
};

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const user = await secretText(uses, given.pushover, 'key');
  const token = await secretText(uses, given.token, 'token');
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(),
    title: 'Pushover',
    secrets: [user, token],
    remedies: {
      400: 'Correct the key of the user, the token of the application, or the device.',
      429: 'The messages of this month are used up: a larger quota, or fewer events.',
      other: 'Look at what Pushover says of it.',
    },
  };
  return {
    title: 'Pushover',
    send: async (message, signal) => {
      const who = { token, user, ...(given.device === undefined ? {} : { device: given.device }) };
      await post(poster, { url: address, body: { ...who, ...contentOf(message, given) }, signal });
    },
  };
}

function contentOf(message: Message, { priorities }: Settings): Record<string, unknown> {
  const priority = priorities[message.severity];
  const hasLink = message.link !== undefined && message.link.length <= mostUrlLength;
  return {
    title: cut(message.title, 250),
    message: render(message, plain, { most: mostCharacters, size: characters, titleElsewhere: true }),
    priority,
    ...(priority === 2 ? { retry: 60, expire: 3600 } : {}),
    timestamp: Math.floor(message.atMs / 1000),
    ...(hasLink ? { url: message.link, url_title: 'Open in Holdfast' } : {}),
  };
}
