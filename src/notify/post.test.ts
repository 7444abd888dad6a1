import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { HttpConnections } from '../protocols/http/exchange.ts';
import { masked, type Poster, post, retryAfter } from './post.ts';

const nowMs = Date.UTC(2026, 10, 21, 14);
const servers: Server[] = [];
const exchanges = new HttpConnections({ maxConnections: 2, silenceMs: 5000, env: {} });

async function serve(answer: Parameters<typeof createServer>[1]): Promise<URL> {
  const server = createServer(answer as never).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/very-secret-path`);
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const poster: Poster = {
  clock: systemClock,
  exchanges,
  title: 'the receiver',
  secrets: ['tk_verysecret', '/hooks/very-secret-path'],
  remedies: { 403: 'Correct the token.', other: 'Look there.' },
};

async function failureOf(url: URL, signal = new AbortController().signal): Promise<HoldfastError> {
  const error: unknown = await post(poster, { url, body: {}, signal }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  return error as HoldfastError;
}

describe('a request with a message', () => {
  test('is delivered when the other side says so with 2xx', async () => {
    const url = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(202).end('taken'));
    });
    expect(await post(poster, { url, body: { a: 1 }, signal: new AbortController().signal })).toBe('taken');
  });

  test.each([
    [500, 'later'],
    [429, 'later'],
    [400, 'never'],
    [403, 'never'],
    [410, 'never'],
  ] as const)('status %i means: %s', async (status, retry) => {
    const url = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(status).end('no'));
    });
    const error = await failureOf(url);
    expect(error).toMatchObject({
      code: 'channel.failed',
      retry,
      message: `the receiver answered with status ${status}: no`,
    });
    expect(error.remedy).toBe(status === 403 ? 'Correct the token.' : 'Look there.');
  });

  test('says how long it is to wait', async () => {
    const url = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(429, { 'retry-after': '17' }).end());
    });
    expect((await failureOf(url)).context).toEqual({ retryAfterMs: 17_000 });
    const inBody = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(429).end('{"ok":false,"parameters":{"retry_after":1.5}}'));
    });
    expect((await failureOf(inBody)).context).toEqual({ retryAfterMs: 1500 });
    expect(retryAfter({ 'retry-after': '0.25' }, nowMs)).toBe(250);
    expect(retryAfter({ 'retry-after': 'Sat, 21 Nov 2026 14:01:00 GMT' }, nowMs)).toBe(60_000);
    expect(retryAfter({ 'retry-after': 'Sat, 21 Nov 2026 13:00:00 GMT' }, nowMs)).toBe(0);
    expect(retryAfter({ 'retry-after': '99999999' }, nowMs)).toBe(24 * 3_600_000);
    expect(retryAfter({ 'retry-after': 'soon' }, nowMs)).toBeUndefined();
    expect(retryAfter({}, nowMs)).toBeUndefined();
  });

  test('with a token that no header can hold is not sent, and its error does not hold it', async () => {
    const url = await serve((_request, response) => void response.end());
    const sending = post(poster, {
      url,
      body: {},
      headers: { authorization: 'tk_ключ' },
      signal: new AbortController().signal,
    });
    const error = await sending.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'channel.failed', retry: 'never' });
    expect(String(error)).not.toContain('tk_');
  });

  test('follows no redirect', async () => {
    let asked = 0;
    const url = await serve((request, response) => {
      asked++;
      request.resume().on('end', () => response.writeHead(307, { location: '/elsewhere' }).end());
    });
    expect((await failureOf(url)).remedy).toContain('redirect');
    expect(asked).toBe(1);
  });

  test('reads no endless answer', async () => {
    const url = await serve((request, response) => {
      request.resume();
      response.writeHead(200);
      const more = (): void => {
        while (response.writable && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more).on('error', () => undefined);
      more();
    });
    expect((await failureOf(url)).message).toContain('more than 262144 bytes came');
  });

  test('quotes no secret that the other side repeats', async () => {
    const url = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(401).end(`bad token tk_verysecret at ${request.url}`));
    });
    const error = await failureOf(url);
    expect(error.message).toBe('the receiver answered with status 401: bad token [secret] at [secret]');
    expect(masked('a"b and a\\"b', ['a"b!', 'a"b '])).toBe('[secret]and a\\"b');
  });

  test('says that nobody is there, and ends at once when it is cancelled', async () => {
    const url = await serve(() => undefined);
    const controller = new AbortController();
    const hanging = failureOf(url, controller.signal);
    controller.abort();
    expect((await hanging).code).toBe('cancelled');
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    expect((await failureOf(url)).message).toMatch(/could not be reached: connect ECONN(REFUSED|RESET)/);
  });
});
