/** Discord: a webhook of a channel, executed with one embed (docs.discord.com, Webhook resource). Nobody is ever mentioned. */
import { formatInstant } from '../../base/clock.ts';
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { secretAddress, secretParts, secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { type Markup, render } from '../render.ts';
import { cut } from '../text.ts';
import { type Settings, settings } from './settings.ts';

const mostTitleLength = 256;
const mostDescriptionLength = 4096;

export const discord: ChannelKind<Settings> = { name: 'discord', title: 'Discord', audience: 'people', settings, open };

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const address = secretAddress(await secretText(uses, given.discord, 'address'), uses.name);
  // Only with `wait` does it answer for the message, not only for the request.
  address.searchParams.set('wait', 'true');
  const remedy = 'Make a new webhook in the settings of the channel, and put its address in the place of this one.';
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(),
    title: `Discord (${address.host})`,
    secrets: secretParts(address),
    remedies: { 401: remedy, 403: remedy, 404: remedy, other: 'Look at what Discord says of it.' },
  };
  return {
    title: `Discord at ${address.host}`,
    send: async (message, signal) => void (await post(poster, { url: address, body: payloadOf(message), signal })),
  };
}

/** Discord's Markdown: a backslash before each character that may mean something. */
const markdown: Markup = {
  escape: (raw) => raw.replace(/[\\*_~`|>#\-[\]()<:@]/g, (char) => `\\${char}`),
  strong: (text) => `**${text}**`,
  link: (label, url) => `[${label}](<${url}>)`,
};

function payloadOf(message: Message): Record<string, unknown> {
  const color = { bad: message.severity === 'warning' ? 0xe6a700 : 0xd32f2f, good: 0x2e7d32, neutral: 0x607d8b }[
    message.mood
  ];
  return {
    embeds: [
      {
        title: markdown.escape(cut(message.title, mostTitleLength / 2)),
        description: render(message, markdown, { most: mostDescriptionLength, titleElsewhere: true }),
        color,
        timestamp: formatInstant(message.atMs),
        ...(message.link === undefined ? {} : { url: message.link }),
      },
    ],
    allowed_mentions: { parse: [] },
  };
}
