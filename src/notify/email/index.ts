/**
 * E-mail over SMTP (nodemailer): plain text with a small HTML beside it. A message that is sent again has the same
 * Message-ID, and goes to those only who did not take it before. Without TLS no password is sent, unless `starttls: never`.
 */
import { getCACertificates } from 'node:tls';
import { createTransport, type NodemailerError, type SMTPTransportOptions } from 'nodemailer';
import type { HoldfastError } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { Channel, ChannelKind, ChannelUses } from '../channel.ts';
import { readCa, secretText } from '../fields.ts';
import type { Message } from '../message.ts';
import { failed, masked } from '../post.ts';
import { plain, render } from '../render.ts';
import { cut, escapeHtml, oneLine } from '../text.ts';
import { type Settings, settings } from './settings.ts';

export const email: ChannelKind<Settings> = {
  name: 'email',
  title: 'E-mail',
  audience: 'people',
  settings,
  open,
};

/** A whole delivery, and each silence within it. */
const timeoutMs = 45_000;
const silenceMs = 20_000;
/** Of a message that was taken by some and refused for others: how many such are remembered. */
const mostRemembered = 50;
const mostTextLength = 100_000;

interface Server {
  readonly title: string;
  readonly options: SMTPTransportOptions;
  readonly secrets: readonly string[];
}

async function open({ email: given }: Settings, uses: ChannelUses): Promise<Channel> {
  const server = await serverOf(given, uses);
  const domain = /@([^\s<>@]+)>?$/.exec(given.from)![1];
  const taken = new Map<string, Set<string>>();
  const title = `${given.to.join(', ')} through ${server.title}`;
  return {
    title,
    send: async (message, signal) => {
      const key = message.items.map(({ event }) => event.id).join();
      const done = taken.get(key) ?? new Set();
      taken.set(key, done);
      if (taken.size > mostRemembered) taken.delete(taken.keys().next().value!);
      const to = given.to.filter((one) => !done.has(one));
      const late = failed(wordsOf(server), `did not take the message within ${timeoutMs / 1000} s`, { retry: 'later' });
      const mail = { ...mailOf(message), from: given.from, to, messageId: `<${message.id.toLowerCase()}@${domain}>` };
      const refusals = await inTime({ clock: uses.clock, timeoutMs, signal }, late, (both) =>
        sendOne(server, mail, both),
      );
      for (const one of to) if (!refusals.some(({ recipient }) => one.includes(recipient))) done.add(one);
      if (refusals.length > 0) throw refusedFor(server, refusals);
      taken.delete(key);
    },
  };
}

async function serverOf(given: Settings['email'], uses: ChannelUses): Promise<Server> {
  const url = new URL(given.smtp);
  const isSecure = url.protocol === 'smtps:';
  const user = decodeURIComponent(url.username);
  const password = given.password && (await secretText(uses, given.password, 'password'));
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isSecure ? 465 : user === '' ? 25 : 587) : Number(url.port);
  const ca = await readCa(given.ca, uses.name);
  const options: SMTPTransportOptions = {
    host,
    port,
    secure: isSecure,
    // A password is never sent to a server that hides, or lost, its STARTTLS.
    requireTLS:
      !isSecure && (given.starttls === 'required' || (given.starttls === 'offered' && password !== undefined)),
    ignoreTLS: given.starttls === 'never',
    ...(password === undefined ? {} : { auth: { user, pass: password } }),
    connectionTimeout: silenceMs,
    greetingTimeout: silenceMs,
    socketTimeout: silenceMs,
    dnsTimeout: silenceMs,
    tls: {
      ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
      ...(given.serverName === undefined ? {} : { servername: given.serverName }),
    },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  const secrets = password === undefined ? [] : [password, Buffer.from(`\0${user}\0${password}`).toString('base64')];
  return { title: `${url.hostname}:${port}`, options, secrets };
}

interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly messageId: string;
}

function mailOf(message: Message): Omit<Mail, 'from' | 'to' | 'messageId'> {
  const text = `${message.title}\n\n${render(message, plain, { most: mostTextLength, titleElsewhere: true })}\n`;
  const body = render(message, html, { most: mostTextLength, titleElsewhere: true });
  const color = { bad: '#b3261e', good: '#1b7f3b', neutral: '#444444' }[message.mood];
  const isUrgent = message.severity === 'error';
  return {
    subject: cut(oneLine(message.title), 200),
    text,
    html: `<!doctype html><html lang="en"><body style="font-family:sans-serif;font-size:15px;line-height:1.45">
<p style="font-size:18px;border-left:4px solid ${color};padding-left:10px">${escapeHtml(message.title)}</p>
<p>${body}</p></body></html>`,
    // RFC 3834: nobody's absence is to be answered to it. The priority is what most programs read.
    headers: { 'Auto-Submitted': 'auto-generated', ...(isUrgent ? { Importance: 'high', 'X-Priority': '2' } : {}) },
  };
}

const html = {
  escape: escapeHtml,
  strong: (text: string) => `<strong>${text}</strong>`,
  link: (label: string, url: string) => `<a href="${escapeHtml(url)}">${label}</a>`,
  lineEnd: '<br>\n',
};

interface Refusal {
  readonly recipient: string;
  readonly status: number | undefined;
  readonly said: string;
}

/** Those who refused while others took it. `channel.failed` if nobody took it. */
async function sendOne(server: Server, { to, ...mail }: Mail, signal: AbortSignal): Promise<readonly Refusal[]> {
  const transport = createTransport(server.options);
  try {
    const { rejectedErrors = [] } = await transport.sendMail({ ...mail, to: [...to], signal });
    return rejectedErrors.map((error) => ({
      recipient: error.recipient ?? '',
      status: error.responseCode,
      said: error.response ?? error.message,
    }));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && 'code' in error) throw notSent(server, error as NodemailerError);
    throw error;
  } finally {
    transport.close();
  }
}

function wordsOf({ title }: Server): Parameters<typeof failed>[0] {
  return { title: `the mail server ${title}`, remedies: { other: 'Look at what the mail server says.' } };
}

function notSent(server: Server, error: NodemailerError): HoldfastError {
  const said = cut(oneLine(masked(error.response ?? error.message, server.secrets)), 300);
  const isFinal = (error.responseCode ?? 0) >= 500;
  // A certificate that is not trusted comes as an error of the socket.
  const code = /certificate|altnames/i.test(error.message) ? 'ETLS' : error.code;
  switch (code) {
    case 'EAUTH':
    case 'ENOAUTH':
      return failed(wordsOf(server), `refused the sign-in: ${said}`, {
        retry: isFinal ? 'never' : 'later',
        remedy: 'Correct the user in «smtp» and the password.',
      });
    case 'ETLS':
    case 'EREQUIRETLS':
      return failed(wordsOf(server), `offers no TLS that can be trusted: ${said}`, {
        retry: 'later',
        remedy:
          'Use smtps://, correct the certificate, or name its issuer under «ca». Only on this machine: starttls: never.',
      });
    case 'EENVELOPE':
    case 'EMESSAGE':
      return failed(wordsOf(server), `refused the message: ${said}`, {
        retry: isFinal ? 'never' : 'later',
        remedy: 'Check «from» and «to», and whether this user may send as it.',
      });
    default:
      return failed(wordsOf(server), `did not take the message: ${said}`, {
        retry: isFinal ? 'never' : 'later',
        remedy: 'Check the host and port in «smtp», and that this machine reaches it.',
      });
  }
}

function refusedFor(server: Server, refusals: readonly Refusal[]): HoldfastError {
  const [{ said }] = refusals;
  const whom = refusals.map(({ recipient }) => recipient).join(', ');
  const isFinal = refusals.every(({ status = 0 }) => status >= 500);
  return failed(wordsOf(server), `refused it for ${whom}: ${cut(oneLine(masked(said, server.secrets)), 200)}`, {
    retry: isFinal ? 'never' : 'later',
    remedy: 'Correct the addresses under «to»; the others have the message.',
  });
}
