/** Microsoft Teams: a workflow that posts an adaptive card to a chat or channel (connectors with message cards have ended). */
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { secretAddress, secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { type Markup, render } from '../render.ts';
import { cut, utf8Bytes } from '../text.ts';
import { type Settings, settings } from './settings.ts';

/** A message may have 28 KB in all. */
const mostTextBytes = 18_000;

export const teams: ChannelKind<Settings> = {
  name: 'teams',
  title: 'Microsoft Teams',
  audience: 'people',
  settings,
  open,
};

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const address = secretAddress(await secretText(uses, given.teams, 'address'), uses.name);
  const signed = [...address.searchParams.values()].filter((value) => value.length > 8);
  const remedy = 'Make the workflow anew in Teams, and put its address in the place of this one.';
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(),
    title: `Teams (${address.host})`,
    secrets: [address.pathname + address.search, address.search, ...signed],
    remedies: { 401: remedy, 403: remedy, 404: remedy, other: 'Look at the runs of the workflow in Power Automate.' },
  };
  return {
    title: `Teams at ${address.host}`,
    send: async (message, signal) => void (await post(poster, { url: address, body: cardOf(message), signal })),
  };
}

/** The Markdown of a text block: a backslash before what may mean something; two line ends make a line. */
const markdown: Markup = {
  escape: (raw) => raw.replace(/[\\*_[\]()#`~>+\-!|]/g, (char) => `\\${char}`).replaceAll('<', '&lt;'),
  strong: (text) => `**${text}**`,
  link: (label, url) => `[${label}](${url})`,
  lineEnd: '\n\n',
};

function cardOf(message: Message): Record<string, unknown> {
  const color = { bad: message.severity === 'warning' ? 'Warning' : 'Attention', good: 'Good', neutral: 'Default' };
  const title = markdown.escape(cut(message.title, 250));
  const text = render(message, markdown, { most: mostTextBytes, size: utf8Bytes, titleElsewhere: true });
  const content = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    body: [
      { type: 'TextBlock', text: title, size: 'Large', weight: 'Bolder', color: color[message.mood], wrap: true },
      { type: 'TextBlock', text, wrap: true },
    ],
    ...(message.link === undefined
      ? {}
      : { actions: [{ type: 'Action.OpenUrl', title: 'Open in Holdfast', url: message.link }] }),
  };
  const contentType = 'application/vnd.microsoft.card.adaptive';
  return { type: 'message', attachments: [{ contentType, contentUrl: null, content }] };
}
