import { once } from 'node:events';
import { createServer } from 'node:http';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { slicesOf, UploadSweep } from './multipart.ts';
import { S3Service } from './service.ts';

it('Slices are the body again, each of the size but the last', () => {
  const sizes = fc.array(fc.nat(40), { maxLength: 12 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 30 }), (lengths, size) => {
      let next = 0;
      const parts = lengths.map((length) => Uint8Array.from({ length }, () => next++));
      const slices = [...slicesOf(parts, size)].map((slice) => Buffer.concat(slice));
      expect(Buffer.concat(slices)).toEqual(Buffer.concat(parts));
      expect(slices.slice(0, -1).every((slice) => slice.byteLength === size)).toBe(true);
      expect(slices.every((slice) => slice.byteLength > 0)).toBe(true);
    }),
  );
});

it('Unfinished uploads of the repository older than a day by the service’s clock are given up, once', async () => {
  const upload = (key: string, id: string, initiated: string): string =>
    `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
  const uploads =
    upload('repo/data/a', 'old', '2030-01-01T10:00:00.000Z') +
    upload('repo/data/b', 'young', '2030-01-02T09:00:00.000Z') +
    upload('other/data/a', 'foreign', '2029-01-01T00:00:00.000Z');
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    outgoing.setHeader('date', 'Wed, 02 Jan 2030 11:00:00 GMT');
    outgoing.end(`<ListMultipartUploadsResult>${uploads}</ListMultipartUploadsResult>`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connections = new HttpConnections({ maxConnections: 1, silenceMs: 5000, env: {} });
  onTestFinished(() => {
    connections.close();
    server.close();
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const service = new S3Service({
    location: { protocol: 'http:', host, bucket: 'bucket', prefix: 'repo/' },
    shown: 's3:x',
    region: 'auto',
    connections,
    credentials: { current: async () => ({ accessKeyId: 'A', secretAccessKey: 'S' }), renew: () => false },
    clock: systemClock,
    signal: new AbortController().signal,
  });
  const sweep = new UploadSweep(service);
  await Promise.all([sweep.once(), sweep.once()]);
  await sweep.once();
  expect(asked).toEqual([
    'GET /bucket?uploads=&prefix=repo%2F&encoding-type=url',
    'DELETE /bucket/repo/data/a?uploadId=old',
  ]);
});
