/** Gotify: a message of an application (gotify.net/api-docs, POST /message). */
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { readCa, secretText } from '../fields.ts';
import { type Poster, post } from '../post.ts';
import { plain, render } from '../render.ts';
import { cut } from '../text.ts';
import { type Settings, settings } from './settings.ts';

const mostLength = 8000;

export const gotify: ChannelKind<Settings> = { name: 'gotify', title: 'Gotify', audience: 'people', settings, open };

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const token = await secretText(uses, given.token, 'token');
  const url = new URL(`${given.gotify.replace(/\/$/, '')}/message`);
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(await readCa(given.ca, uses.name)),
    title: `Gotify (${url.host})`,
    secrets: [token],
    remedies: {
      401: 'Correct the token: that of an application, not of a client.',
      403: 'Correct the token: that of an application, not of a client.',
      404: 'Check the address of the server.',
      other: 'Look at what the Gotify server says.',
    },
  };
  return {
    title: `Gotify at ${url.host}`,
    send: async (message, signal) => {
      const click = message.link === undefined ? {} : { 'client::notification': { click: { url: message.link } } };
      const body = {
        title: cut(message.title, 250),
        message: render(message, plain, { most: mostLength, titleElsewhere: true }),
        priority: given.priorities[message.severity],
        extras: { 'client::display': { contentType: 'text/plain' }, ...click },
      };
      await post(poster, { url, headers: { 'x-gotify-key': token }, body, signal });
    },
  };
}
