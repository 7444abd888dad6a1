/** Slack (and what takes its webhooks, as Mattermost): an incoming webhook with blocks, and a text for where these are not shown. */
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { secretAddress, secretParts, secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { type Markup, plain, render } from '../render.ts';
import { cut } from '../text.ts';
import { type Settings, settings } from './settings.ts';

/** docs.slack.dev: a header has 150 characters, the text of a section 3000. */
const mostHeaderLength = 150;
const mostSectionLength = 3000;

export const slack: ChannelKind<Settings> = { name: 'slack', title: 'Slack', audience: 'people', settings, open };

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const address = secretAddress(await secretText(uses, given.slack, 'address'), uses.name);
  const remedy = 'Make a new incoming webhook in Slack, and put its address in the place of this one.';
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(),
    title: `Slack (${address.host})`,
    secrets: secretParts(address),
    remedies: { 403: remedy, 404: remedy, 410: remedy, other: 'Look at what Slack says of it.' },
  };
  return {
    title: `Slack at ${address.host}`,
    send: async (message, signal) => void (await post(poster, { url: address, body: payloadOf(message), signal })),
  };
}

/** In blocks of plain text nothing has a meaning, so names and commands stay as they are. Links stand by themselves. */
const literal: Markup = { ...plain, link: () => '' };

/** Slack escapes three characters (docs.slack.dev, formatting message text). */
function escapeThree(raw: string): string {
  return raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function payloadOf(message: Message): Record<string, unknown> {
  const icon = { bad: message.severity === 'warning' ? '⚠️' : '🔴', good: '✅', neutral: 'ℹ️' }[message.mood];
  const title = `${icon} ${message.title}`;
  const text = render(message, literal, { most: mostSectionLength, titleElsewhere: true });
  const link = message.link === undefined ? [] : [`<${escapeThree(message.link)}|Open in Holdfast>`];
  return {
    // For notifications, and for servers that know no blocks.
    text: [escapeThree(cut(title, 300)), escapeThree(text), ...link].join('\n\n'),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: cut(title, mostHeaderLength), emoji: true } },
      { type: 'section', text: { type: 'plain_text', text, emoji: false } },
      ...link.map((one) => ({ type: 'section', text: { type: 'mrkdwn', text: one } })),
    ],
    unfurl_links: false,
    unfurl_media: false,
  };
}
