/** Telegram: a bot's message to a chat (core.telegram.org/bots/api#sendmessage), as HTML. */
import { HoldfastError } from '../../base/errors.ts';
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { type Poster, post } from '../post.ts';
import { type Markup, render } from '../render.ts';
import { cut, escapeHtml } from '../text.ts';
import { type Settings, settings } from './settings.ts';

/** 4096 after its entities are read; counted before, which is never less. */
const mostLength = 4096;

export const telegram: ChannelKind<Settings> = {
  name: 'telegram',
  title: 'Telegram',
  audience: 'people',
  settings,
  open,
};

async function open(given: Settings, uses: ChannelUses): Promise<Channel> {
  const token = await secretText(uses, given.token, 'token');
  if (!/^\d+:[A-Za-z0-9_-]+$/.test(token)) {
    const message = `${uses.name}: the token is not one of a bot`;
    throw new HoldfastError({ code: 'config.invalid', message, remedy: 'It is like 123456:ABC-DEF, from @BotFather.' });
  }
  const url = new URL(`${given.server.replace(/\/$/, '')}/bot${token}/sendMessage`);
  const poster: Poster = {
    clock: uses.clock,
    exchanges: uses.exchanges(),
    title: `Telegram (${url.host})`,
    secrets: [token, token.split(':')[1]],
    remedies: {
      400: 'Check the number of the chat, and that somebody there wrote to the bot first.',
      401: 'Correct the token of the bot.',
      403: 'Let the bot into the chat again, or write to it first.',
      404: 'Correct the token of the bot.',
      other: 'Look at what Telegram says of it.',
    },
  };
  return {
    title: `Telegram, chat ${given.telegram}`,
    send: async (message, signal) => {
      const chat = {
        chat_id: given.telegram,
        ...(given.thread === undefined ? {} : { message_thread_id: given.thread }),
      };
      await post(poster, { url, body: { ...chat, ...contentOf(message) }, signal });
    },
  };
}

const html: Markup = {
  escape: escapeHtml,
  strong: (text) => `<b>${text}</b>`,
  link: (label, url) => `<a href="${escapeHtml(url)}">${label}</a>`,
};

function contentOf(message: Message): Record<string, unknown> {
  const icon = { bad: message.severity === 'warning' ? '⚠️' : '🔴', good: '✅', neutral: 'ℹ️' }[message.mood];
  const title = `${icon} <b>${escapeHtml(cut(message.title, 250))}</b>\n\n`;
  return {
    text: title + render(message, html, { most: mostLength - title.length, titleElsewhere: true }),
    parse_mode: 'HTML',
    link_preview_options: { is_disabled: true },
    disable_notification: message.severity === 'info',
  };
}
