/** E-mail against real SMTP servers: sign-in, STARTTLS, TLS, refusals, silence. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { email } from '../../src/notify/email/index.ts';
import { type EximServer, eximFolder, startExim } from '../servers/exim.ts';
import { freePort } from '../servers/free-port.ts';
import { type SmtpOptions, SmtpServer, startSilent } from '../servers/smtp.ts';
import { failure, messageOf, openOne, plansOf, trialEvent } from '../support/channels.ts';

const { signal } = new AbortController();
const env = { P: 'correct horse' };
const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
});

async function start(options?: SmtpOptions): Promise<SmtpServer & { ca: string }> {
  const server = await SmtpServer.start(options);
  opened.push(server);
  return server;
}

const yamlOf = (smtp: string, rest: string, to = 'anna@example.com'): string =>
  `notifications: { c: { email: { smtp: "${smtp}", from: Holdfast <holdfast@example.com>, to: ${to}${rest} } } }`;

async function refusalOf(
  channel: Awaited<ReturnType<typeof openOne>>,
  message = messageOf(failure()),
): Promise<HoldfastError> {
  const error: unknown = await channel.send(message, signal).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  expect((error as HoldfastError).code).toBe('channel.failed');
  expect(String(error)).not.toContain(env.P);
  expect(String(error)).not.toContain(Buffer.from(`\0anna\0${env.P}`).toString('base64'));
  return error as HoldfastError;
}

describe('a mail', () => {
  test('goes through STARTTLS with a password, as text and HTML, to all who are named', async () => {
    const server = await start({ password: env.P });
    const rest = `, password: { env: P }, ca: ${server.ca}, serverName: mail.example`;
    const channel = await openOne(
      yamlOf(`smtp://anna@127.0.0.1:${server.port}`, rest, '[anna@example.com, Ben <ben@example.com>]'),
      env,
    );
    const message = messageOf(failure({ title: 'the backup of <b>täglich</b> failed\r\nBcc: eve@example.com' }));
    await channel.send(message, signal);
    const [mail] = server.mails;
    expect(mail).toMatchObject({
      from: 'holdfast@example.com',
      to: ['anna@example.com', 'ben@example.com'],
      user: 'anna',
      isSecure: true,
    });
    const [head, ...body] = mail.text.split('\r\n\r\n');
    expect(head).toContain(`Message-ID: <${message.id.toLowerCase()}@example.com>`);
    expect(head).toContain('Auto-Submitted: auto-generated');
    expect(head).toContain('Importance: high');
    expect(head).not.toMatch(/^Bcc:/im);
    const text = body.join('\r\n\r\n');
    expect(text).toContain('What to do: Check that the NAS is there.');
    expect(text).toContain('&lt;b&gt;täglich&lt;/b&gt; failed Bcc: eve@example.com</p>');
    expect(text).toContain('<a href="https://backup.example/">Open in Holdfast</a>');
    expect(channel.title).toBe(`anna@example.com, Ben <ben@example.com> through 127.0.0.1:${server.port}`);
  });

  test('goes through TLS from the start', async () => {
    const server = await start({ tls: 'from the start', password: env.P });
    const channel = await openOne(
      yamlOf(`smtps://anna@127.0.0.1:${server.port}`, `, password: { env: P }, ca: ${server.ca}`),
      env,
    );
    await channel.send(messageOf(trialEvent('backup.succeeded')), signal);
    expect(server.mails[0]).toMatchObject({ user: 'anna', isSecure: true });
    expect(server.mails[0].text).not.toContain('Importance');
  });

  test('goes to a relay without any of it where that is said', async () => {
    const server = await start({ tls: 'none' });
    const channel = await openOne(yamlOf(`smtp://127.0.0.1:${server.port}`, ', starttls: never'));
    await channel.send(messageOf(failure()), signal);
    expect(server.mails[0]).toMatchObject({ user: undefined, isSecure: false });
  });

  test('never goes, and no password either, where TLS is missing or cannot be trusted', async () => {
    const bare = await start({ tls: 'none', password: env.P });
    for (const starttls of ['required', 'offered']) {
      const channel = await openOne(
        yamlOf(`smtp://anna@127.0.0.1:${bare.port}`, `, password: { env: P }, starttls: ${starttls}`),
        env,
      );
      expect((await refusalOf(channel)).remedy).toContain('smtps://');
    }
    const strange = await start({ password: env.P });
    const channel = await openOne(yamlOf(`smtp://anna@127.0.0.1:${strange.port}`, ', password: { env: P }'), env);
    expect(await refusalOf(channel)).toMatchObject({ retry: 'later', remedy: expect.stringContaining('«ca»') });
    const named = await openOne(
      yamlOf(`smtp://127.0.0.1:${strange.port}`, `, ca: ${strange.ca}, serverName: other.example`),
    );
    expect((await refusalOf(named)).message).toContain('TLS that can be trusted');
    expect([...bare.mails, ...strange.mails]).toEqual([]);
  });

  test('a wrong password is refused for good, with what helps', async () => {
    const server = await start({ password: 'another one' });
    const channel = await openOne(
      yamlOf(`smtp://anna@127.0.0.1:${server.port}`, `, password: { env: P }, ca: ${server.ca}`),
      env,
    );
    expect(await refusalOf(channel)).toMatchObject({
      retry: 'never',
      remedy: 'Correct the user in «smtp» and the password.',
    });
  });

  test('refused for some: the others have it, and only those who do not are tried again', async () => {
    const refused: Record<string, number> = { 'ben@example.com': 450 };
    const server = await start({ tls: 'none', refused });
    const channel = await openOne(
      yamlOf(`smtp://127.0.0.1:${server.port}`, ', starttls: never', '[anna@example.com, ben@example.com]'),
    );
    const message = messageOf(failure());
    expect(await refusalOf(channel, message)).toMatchObject({
      retry: 'later',
      message: expect.stringContaining('ben@example.com'),
    });
    delete refused['ben@example.com'];
    await channel.send(message, signal);
    expect(server.mails.map(({ to }) => to)).toEqual([['anna@example.com'], ['ben@example.com']]);
    refused['anna@example.com'] = 550;
    refused['ben@example.com'] = 550;
    expect(await refusalOf(channel)).toMatchObject({ retry: 'never', remedy: expect.stringContaining('«to»') });
  });

  test.each(['connect', 'mail'] as const)(
    'a server that says nothing after %s is left, and when it is cancelled at once',
    async (after) => {
      const server = await startSilent(after);
      opened.push(server);
      const [{ settings }] = plansOf(yamlOf(`smtp://127.0.0.1:${server.port}`, ', starttls: never'));
      // The time a delivery may take is over at once.
      const clock: Clock = { ...systemClock, sleep: (_ms, options) => systemClock.sleep(50, options) };
      const uses = {
        name: 'c',
        clock,
        secret: () => Promise.reject(new Error('none')),
        exchanges: () => expect.fail(),
      };
      const channel = await email.open(email.settings.parse(settings), uses);
      expect(await refusalOf(channel)).toMatchObject({
        retry: 'later',
        message: expect.stringContaining('within 45 s'),
      });
      const patient = await email.open(email.settings.parse(settings), { ...uses, clock: systemClock });
      const controller = new AbortController();
      const sending = patient.send(messageOf(failure()), controller.signal);
      await systemClock.sleep(100);
      controller.abort();
      await expect(sending).rejects.toThrow();
    },
  );

  test('nobody there is said so', async () => {
    const channel = await openOne(yamlOf(`smtp://127.0.0.1:${await freePort()}`, ', starttls: never'));
    expect(await refusalOf(channel)).toMatchObject({
      retry: 'later',
      remedy: expect.stringContaining('host and port'),
    });
  });

  test('a password in the address, or an address with a line end, is refused when it is declared', () => {
    expect(() => plansOf(yamlOf('smtp://anna:secret@host', ''))).toThrow(/password/);
    expect(() => plansOf(yamlOf('smtp://host', '', '"a@b.example\\r\\nRCPT TO: <c@d>"'))).toThrow(
      'email.to has the wrong form',
    );
  });
});

describe('Exim', () => {
  let server: EximServer | undefined;
  beforeAll(async () => {
    const folder = await eximFolder();
    server = folder === undefined ? undefined : await startExim(folder, env.P);
  });
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  test('takes a mail over STARTTLS and over TLS, with a password', async ({ skip }) => {
    if (!server) return skip();
    const rest = `, password: { env: P }, ca: ${server.ca}`;
    for (const [scheme, port] of [
      ['smtp', server.port],
      ['smtps', server.securePort],
    ] as const) {
      const channel = await openOne(
        yamlOf(`${scheme}://anna@127.0.0.1:${port}`, rest, '[anna@example.com, ben@example.com]'),
        env,
      );
      await channel.send(messageOf(failure({ remedy: '.\r\n.line that begins with a dot' })), signal);
    }
    const mails = server.queue();
    expect(mails).toHaveLength(2);
    for (const { envelope, text } of mails) {
      for (const part of ['-auth_id anna', '-tls_cipher', 'anna@example.com', 'ben@example.com', 'Auto-Submitted']) {
        expect(envelope).toContain(part);
      }
      expect(text).toContain('.line that begins with a dot');
    }
  });

  test('refuses a wrong password and a strange recipient, and the errors say so', async ({ skip }) => {
    if (!server) return skip();
    const before = server.queue().length;
    const rest = `, password: { env: P }, ca: ${server.ca}`;
    const wrong = await openOne(yamlOf(`smtp://anna@127.0.0.1:${server.port}`, rest), { P: 'wrong horse' });
    expect(await refusalOf(wrong)).toMatchObject({
      retry: 'never',
      message: expect.stringContaining('refused the sign-in: 535'),
    });
    const strange = await openOne(yamlOf(`smtp://anna@127.0.0.1:${server.port}`, rest, 'nobody@example.com'), env);
    expect(await refusalOf(strange)).toMatchObject({
      retry: 'never',
      message: expect.stringContaining('no such person'),
    });
    expect(server.queue()).toHaveLength(before);
  });
});
