import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secrets.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import type { ChannelUses } from '../channel.ts';
import type { Message } from '../message.ts';
import { webhook } from './index.ts';

const token = 'tok/en+very=secret';
const part = 'T0G1-very-secret-part';
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const event = { id: '01', type: 'backup.failed', severity: 'error', atMs: 0, title: 'it failed' };
const message = { items: [{ event, times: 1, sinceMs: 0, mood: 'bad' }] } as unknown as Message;

/** The error of a message to a receiver that refuses it with these words. */
async function failureOf(answer: (request: IncomingMessage, url: URL) => string): Promise<string> {
  const path = `/services/${part}/with%20a%20blank?token=${encodeURIComponent(token)}&x=1`;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url!, 'http://receiver');
    request.resume().on('end', () => response.writeHead(400).end(answer(request, url)));
  }).listen(0, '127.0.0.1');
  const exchanges = new HttpConnections({ maxConnections: 1, silenceMs: 5000, env: {} });
  ends.push(() => {
    exchanges.close();
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const uses: ChannelUses = {
    name: 'program',
    clock: systemClock,
    secret: async () => new Secret(address),
    exchanges: () => exchanges,
  };
  const channel = await webhook.open({ webhook: { from: 'env', name: 'HOOK' } }, uses);
  expect(channel.title).toBe(`webhook at ${new URL(address).host}`);
  const error: unknown = await channel.send(message, new AbortController().signal).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'channel.failed', message: expect.stringContaining('status 400: ') });
  return JSON.stringify({ ...(error as object), message: (error as Error).message });
}

test.each<[string, (request: IncomingMessage, url: URL) => string]>([
  ['all of it', ({ url }) => `no such hook: ${url}`],
  ['its path', (_, { pathname }) => `no such hook: ${pathname}`],
  ['its path without the beginning', (_, { pathname }) => `no hook ${pathname.slice('/services/'.length)}`],
  ['a part of its path', (_, { pathname }) => `the team ${pathname.split('/')[2]} is not known`],
  ['a part of its path, decoded', (_, { pathname }) => `no «${decodeURIComponent(pathname.split('/')[3])}» here`],
  ['its query', (_, { search }) => `what is ${search}?`],
  ['a value of its query', (_, { search }) => `${search.slice('?token='.length).split('&')[0]} is not valid`],
  ['a value of its query, decoded', (_, { searchParams }) => `${searchParams.get('token')} is not valid`],
  ['a value in JSON as PHP writes it', () => `{"token":"${token.replaceAll('/', '\\/')}"}`],
])('a receiver that quotes %s of a secret address does not bring it into the error', async (_, answer) => {
  const error = await failureOf(answer);
  expect(error).toContain('[secret]');
  for (const secret of [part, token, encodeURIComponent(token), 'with a blank', 'very=secret', 'very%3Dsecret'])
    expect(error).not.toContain(secret);
});

test('what is said without quoting it is told as it is', async () => {
  expect(await failureOf(() => 'services are closed')).toContain('services are closed');
});
