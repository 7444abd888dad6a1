/** Every kind of channel against a receiver that takes nothing but what the service documents; ntfy against the real server. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { type EventType, eventTypes, severityOf } from '../../src/model/event.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { type NtfyServer, ntfyProgram, startNtfy } from '../servers/ntfy.ts';
import { Receiver } from '../servers/receiver.ts';
import { failure, messageOf, openOne, plansOf, trialEvent } from '../support/channels.ts';
import { documentedKinds } from '../support/documented-requests.ts';

const signal = new AbortController().signal;
const page = readFileSync(new URL('../../docs/notifications.md', import.meta.url), 'utf8');
/** A name, a path or a text can hold anything; so does what a service would take for markup. */
const nasty = 'a<b>&"c" *d* _e_ `f` [g](http://h) @everyone ||i|| ~j~ \\ <!channel> <@U1> :k: # l';
const long = { message: `${nasty} ${'x👩‍👩‍👧‍👦é'.repeat(3000)}`, remedy: 'y&<'.repeat(3000) };

let receiver: Receiver;
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(async () => await receiver[Symbol.asyncDispose]());

describe.each(documentedKinds)('$name', ({ yaml, env, body, host, path, refusal }) => {
  const parsed = (): unknown => body.parse(JSON.parse(receiver.received.at(-1)!.body));

  test('sends what the service documents, to where it documents it', async () => {
    const channel = await openOne(yaml, env, receiver.exchanges);
    await channel.send(messageOf(failure()), signal);
    expect(receiver.received).toHaveLength(1);
    const [{ method, path: asked, host: meant, headers }] = receiver.received;
    expect({ method, asked, host: meant }).toEqual({ method: 'POST', asked: path, host });
    expect(headers['content-type']).toBe('application/json');
    const sent = JSON.stringify(parsed());
    for (const word of ['shop', 'nas', '10.0.0', 'Check that the NAS', 'https://backup.example/', '01KAJD2P']) {
      expect(sent.replaceAll('\\', '')).toContain(word);
    }
    for (const secret of Object.values(env)) expect(channel.title).not.toContain(secret);
  });

  test('keeps to the limits and the escapes with the longest and strangest texts, and with forty events', async () => {
    const channel = await openOne(yaml, env, receiver.exchanges);
    await channel.send(messageOf(failure({ title: `${nasty} ${long.message}`, ...long })), signal);
    parsed();
    const many = Array.from({ length: 40 }, (_, i) => failure({ source: `${nasty}-${i}`, run: `run-${i}`, ...long }));
    await channel.send(messageOf(...many), signal);
    parsed();
    expect(receiver.received.at(-1)!.body.length).toBeLessThan(28_000);
    await channel.send(messageOf(trialEvent('backup.succeeded')), signal);
    parsed();
  });

  test('says what was refused and what helps, without a secret', async () => {
    receiver.answer = () => ({ ...refusal, body: `${refusal.body} ${Object.values(env).join(' ')}` });
    const channel = await openOne(yaml, env, receiver.exchanges);
    const error = await channel.send(messageOf(failure()), signal).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(HoldfastError);
    const { message, remedy, retry } = error as HoldfastError;
    expect(retry).toBe('never');
    expect(remedy.length).toBeGreaterThan(20);
    for (const secret of ['secret', ...Object.values(env)])
      expect(message.replaceAll('[secret]', '')).not.toContain(secret);
  });

  test('waits for as long as the service asks', async () => {
    receiver.answer = () => ({ status: 429, headers: { 'retry-after': '30' }, body: '{}' });
    const channel = await openOne(yaml, env, receiver.exchanges);
    await expect(channel.send(messageOf(failure()), signal)).rejects.toMatchObject({
      code: 'channel.failed',
      retry: 'later',
      context: { retryAfterMs: 30_000 },
    });
  });
});

describe('what means something to a service', () => {
  test('nobody is mentioned and nothing is formatted', async () => {
    const named = Object.fromEntries(documentedKinds.map(({ name, ...rest }) => [name, rest]));
    const bodyOf = async (name: string): Promise<string> => {
      const { yaml, env } = named[name];
      await (await openOne(yaml, env, receiver.exchanges)).send(
        messageOf(failure({ title: `title ${nasty}`, message: nasty })),
        signal,
      );
      return receiver.received.at(-1)!.body;
    };
    expect(await bodyOf('slack')).not.toMatch(/"mrkdwn","text":"[^"]*<[!@]/);
    expect((JSON.parse(await bodyOf('slack')) as { text: string }).text).not.toMatch(/<[!@b]/);
    const discord = JSON.parse(await bodyOf('discord')) as { embeds: { description: string }[] };
    expect(discord.embeds[0].description.split('\n')[0]).toBe(
      'a\\<b\\>&"c" \\*d\\* \\_e\\_ \\`f\\` \\[g\\]\\(http\\://h\\) \\@everyone \\|\\|i\\|\\| \\~j\\~ \\\\ \\<!channel\\> \\<\\@U1\\> \\:k\\: \\# l',
    );
    const telegram = JSON.parse(await bodyOf('telegram')) as { text: string };
    expect(telegram.text).toContain('a&lt;b&gt;&amp;&quot;c&quot; *d*');
    expect(await bodyOf('teams')).toContain(String.raw`\\*d\\* \\_e\\_ \\${'`'}f\\${'`'} \\[g\\]\\(http`);
  });
});

describe('webhook', () => {
  const key = Buffer.from('0123456789abcdef0123456789abcdef');
  const env = {
    A: 'https://hook.example/path?key=very-secret',
    S: `whsec_${key.toString('base64')}`,
    H: 'Bearer very-secret',
  };
  const yaml =
    'notifications: { c: { webhook: { env: A }, secret: { env: S }, headers: { Authorization: { env: H } } } }';

  /** As the libraries of Standard Webhooks do it. */
  function isSigned({ headers, body }: Receiver['received'][number], nowSeconds = Date.now() / 1000): boolean {
    const { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signatures } = headers;
    if (Math.abs(nowSeconds - Number(seconds)) > 300) return false;
    const expected = createHmac('sha256', key)
      .update(`${String(id)}.${String(seconds)}.${body}`)
      .digest();
    return String(signatures)
      .split(' ')
      .some((one) => {
        const [version, mac] = one.split(',');
        return version === 'v1' && timingSafeEqual(Buffer.from(mac, 'base64'), expected);
      });
  }

  test('each event is one signed request, with the id of the event', async () => {
    const channel = await openOne(yaml, env, receiver.exchanges);
    const event = failure();
    await channel.send(messageOf(event), signal);
    const [one] = receiver.received;
    expect(isSigned(one)).toBe(true);
    expect(isSigned(one, Date.now() / 1000 + 600)).toBe(false);
    expect(isSigned({ ...one, body: one.body.replace('shop', 'shoq') })).toBe(false);
    expect(one.headers).toMatchObject({
      'webhook-id': event.id,
      authorization: 'Bearer very-secret',
      'content-type': 'application/json',
    });
    expect(one.path).toBe('/path?key=very-secret');
    expect(JSON.parse(one.body)).toEqual({
      type: 'backup.failed',
      timestamp: '2026-11-21T02:00:31.000Z',
      data: {
        id: event.id,
        severity: 'error',
        title: 'the backup of shop into nas failed',
        message: 'nas: 10.0.0.9 did not answer',
        remedy: 'Check that the NAS is there.',
        errorCode: 'storage.unreachable',
        source: 'shop',
        repository: 'nas',
        policy: 'nightly',
        run: '01KAJD2P000000000000000000',
        facts: { kind: 'backup' },
        link: 'https://backup.example/',
        times: 1,
        since: '2026-11-21T02:00:31.000Z',
        recovered: false,
      },
    });
  });

  test('the example of Standard Webhooks gives its signature', async () => {
    const { signature, signingKey } = await import('../../src/notify/webhook/index.ts');
    const signed = signature({
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      seconds: 1614265330,
      body: '{"test": 2432232314}',
      key: signingKey('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'c'),
    });
    expect(signed['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
    expect(() => signingKey('whsec_short', 'c')).toThrow('not base64 of 24 to 64 bytes');
  });

  test('its address and headers are in no error', async () => {
    receiver.answer = ({ headers, path }) => ({ status: 500, body: `${headers.authorization} ${path}` });
    const channel = await openOne(yaml, env, receiver.exchanges);
    const error = await channel.send(messageOf(failure()), signal).catch((reason: unknown) => reason);
    expect(String(error)).toContain('hook.example answered with status 500');
    expect(String(error)).not.toContain('very-secret');
  });
});

describe('healthchecks', () => {
  const yaml = 'notifications: { c: { healthchecks: "https://hc-ping.com/9f4a2c1e-0000-4000-8000-000000000000" } }';
  const base = '/9f4a2c1e-0000-4000-8000-000000000000';
  const run = { id: '01KAJD2P000000000000000000', kind: 'backup', source: 'shop' };

  test('start, success and failure of a run belong together', async () => {
    const channel = await openOne(yaml, {}, receiver.exchanges);
    await channel.begun!(run, signal);
    await channel.send(messageOf(trialEvent('backup.succeeded')), signal);
    await channel.send(messageOf(failure()), signal);
    const asked = receiver.received.map(({ path }) => new URL(path, 'https://hc'));
    expect(asked.map(({ pathname }) => pathname)).toEqual([`${base}/start`, base, `${base}/fail`]);
    const ids = new Set(asked.map(({ searchParams }) => searchParams.get('rid')));
    expect([...ids]).toEqual([
      expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/),
    ]);
    expect(receiver.received[2].body).toContain('10.0.0.9 did not answer');
  });

  test('while something else of the check is failed, a success ends no alarm', async () => {
    const channel = await openOne(yaml, {}, receiver.exchanges);
    await channel.send({ ...messageOf(trialEvent('backup.succeeded')), standing: 1 }, signal);
    expect(receiver.received[0].path).toContain(`${base}/log`);
  });

  test('a sign of life is a ping by itself', async () => {
    const alive = yaml.replace(' } }', ', heartbeatMinutes: 5 } }');
    const channel = await openOne(alive, {}, receiver.exchanges);
    expect(channel.heartbeat?.everyMs).toBe(300_000);
    await channel.heartbeat!.beat(signal);
    expect(receiver.received.map(({ path }) => path)).toEqual([base]);
  });
});

describe('ntfy', () => {
  let server: NtfyServer | undefined;
  beforeAll(async () => {
    const program = await ntfyProgram();
    server = program === undefined ? undefined : await startNtfy(program);
  });
  afterAll(async () => await server?.[Symbol.asyncDispose]());

  const yamlOf = (rest: string): string => `notifications: { c: { ntfy: "${server!.url}/backups", ${rest} } }`;

  test('a real server takes messages from a token, with priority, tags and link', async ({ skip }) => {
    if (!server) return skip();
    const channel = await openOne(yamlOf('token: { env: T }, tags: [floppy_disk]'), { T: server.token });
    const message = messageOf(failure({ title: `the backup of ${nasty} failed` }));
    await channel.send(message, signal);
    await channel.send(messageOf(trialEvent('backup.succeeded')), signal);
    const [first, second] = (await server.messages()).slice(-2);
    expect(first).toMatchObject({
      title: `The backup of ${nasty} failed`,
      priority: 4,
      tags: ['rotating_light', 'floppy_disk'],
      click: 'https://backup.example/',
      sequence_id: message.id,
    });
    expect(first.message).toContain('What to do: Check that the NAS is there.');
    expect(second).toMatchObject({ priority: 2, tags: ['white_check_mark', 'floppy_disk'] });
  });

  test('and from a user with a password; the longest message stays a message', async ({ skip }) => {
    if (!server) return skip();
    const channel = await openOne(yamlOf('user: holdfast, password: { env: P }'), { P: 'writing' });
    await channel.send(messageOf(failure({ title: long.message, ...long })), signal);
    const { message, attachment } = (await server.messages()).at(-1)!;
    expect(attachment).toBeUndefined();
    expect(Buffer.byteLength(message!)).toBeGreaterThan(2000);
  });

  test('it refuses a wrong token and a topic that is not allowed, and the error says what helps', async ({ skip }) => {
    if (!server) return skip();
    const wrong = await openOne(yamlOf('token: { env: T }'), { T: 'tk_thisiswrongthisiswrongthisisw' });
    const refusal = await wrong.send(messageOf(failure()), signal).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: 'channel.failed',
      retry: 'never',
      remedy: 'Correct the token, or user and password.',
    });
    expect(String(refusal)).not.toContain('tk_this');
    const elsewhere = await openOne(yamlOf('token: { env: T }').replace('/backups', '/others'), { T: server.token });
    await expect(elsewhere.send(messageOf(failure()), signal)).rejects.toMatchObject({
      remedy: expect.stringContaining('write to the topic'),
    });
  });
});

describe('docs/notifications.md', () => {
  const examples = [...page.matchAll(/```yaml\n([^`]*)```/g)].map(([, yaml]) => yaml);

  const declared = `sources: { shop: { driver: files, paths: [/srv], repository: nas } }
repositories: { nas: { url: /mnt/nas, password: { env: X } } }`;

  test('every example is taken as it stands, and every kind has one', () => {
    const plans = examples.flatMap((one) => plansOf(`${one}\n${declared}`));
    expect(new Set(plans.map(({ kind }) => kind))).toEqual(new Set(channelKinds.map(({ name }) => name)));
  });

  test('every event stands there with its severity and meaning', () => {
    const rows = [...page.matchAll(/^\| `([a-z-]+\.[a-z]+)` \| (\w+) \| (.*) \|$/gm)].map((row) => row.slice(1, 4));
    const events = Object.entries(eventTypes).map(([type, meaning]) => [type, severityOf(type as EventType), meaning]);
    expect(rows).toEqual(events);
  });
});
