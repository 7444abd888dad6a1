/** How requests are addressed, and what is learned from refusals: against a real HTTP server that refuses. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import type { CredentialSource } from './credentials.ts';
import { S3Service, type S3ServiceOptions } from './service.ts';

async function serviceAt(listener: RequestListener, options: Partial<S3ServiceOptions> = {}): Promise<S3Service> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connections = new HttpConnections({ maxConnections: 4, silenceMs: 5000, env: {} });
  onTestFinished(() => {
    connections.close();
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return new S3Service({
    location: { protocol: 'http:', host, bucket: 'bucket', prefix: '' },
    shown: 's3:x',
    region: 'auto',
    connections,
    credentials: { current: async () => ({ accessKeyId: 'A', secretAccessKey: 'S' }), renew: () => false },
    clock: systemClock,
    signal: new AbortController().signal,
    ...options,
  });
}

const malformed =
  '<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong region</Message><Region>eu-west-3</Region></Error>';

it('The region is learned from the refusal that names it, once', async () => {
  const regions: string[] = [];
  const listener: RequestListener = (incoming, outgoing) => {
    const region = /Credential=A\/\d+\/([^/]+)\/s3/.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    regions.push(region);
    if (region === 'eu-west-3') outgoing.end('fine');
    else outgoing.writeHead(400, { 'content-type': 'application/xml' }).end(malformed);
  };
  const learning = await serviceAt(listener);
  for (let turn = 0; turn < 2; turn++) await learning.send({ doing: 'read', method: 'GET', key: 'x' });
  expect(regions).toEqual(['us-east-1', 'eu-west-3', 'eu-west-3']);
  const told = await serviceAt(listener, { region: 'us-west-2' });
  await expect(told.send({ doing: 'read', method: 'GET', key: 'x' })).rejects.toMatchObject({
    code: 'storage.denied',
    remedy: expect.stringContaining('eu-west-3'),
  });
});

it('Temporary keys that are over are replaced once', async () => {
  let fetched = 0;
  const credentials: CredentialSource = {
    current: async () => ({ accessKeyId: `A${fetched}`, secretAccessKey: 'S', sessionToken: 'T' }),
    renew: () => {
      fetched++;
      return true;
    },
  };
  const listener: RequestListener = (incoming, outgoing) => {
    if (incoming.headers.authorization?.includes('Credential=A1/')) outgoing.end('fine');
    else outgoing.writeHead(400).end('<Error><Code>ExpiredToken</Code></Error>');
  };
  const service = await serviceAt(listener, { credentials });
  expect((await service.send({ doing: 'read', method: 'GET', key: 'x' })).status).toBe(200);
  expect(fetched).toBe(1);
});

it('A bucket stands in the path or before the host', async () => {
  const seen: string[] = [];
  const listener: RequestListener = (incoming, outgoing) => {
    seen.push(`${incoming.headers.host?.replace(/:\d+$/, '')}${incoming.url}`);
    outgoing.end();
  };
  const service = await serviceAt(listener);
  await service.send({ doing: 'read', method: 'GET', key: 'a b/ü', query: { uploads: '' } });
  await service.send({ doing: 'list', method: 'GET', query: { prefix: 'a/b' } });
  expect(seen).toEqual(['127.0.0.1/bucket/a%20b/%C3%BC?uploads=', '127.0.0.1/bucket?prefix=a%2Fb']);
});

it('An error that comes with status 200 is an error', async () => {
  let answers = 0;
  const listener: RequestListener = (_, outgoing) => {
    answers++;
    const body = answers === 1 ? '<Error><Code>InternalError</Code></Error>' : '<Done/>';
    outgoing.writeHead(200, { 'content-type': 'application/xml' }).end(body);
  };
  const clock = { ...systemClock, sleep: async () => {} };
  const service = await serviceAt(listener, { clock });
  expect((await service.send({ doing: 'complete', method: 'POST', key: 'x' })).repeated).toBe(true);
});
