import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { putInParts, slicesOf, UploadSweep } from './multipart.ts';
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

/** One that is answered like this. */
async function serviceOf(answer: RequestListener): Promise<S3Service> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connections = new HttpConnections({ maxConnections: 4, silenceMs: 5000, env: {} });
  onTestFinished(() => {
    connections.close();
    server.close();
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return new S3Service({
    location: { protocol: 'http:', host, bucket: 'bucket', prefix: 'repo/' },
    shown: 's3:x',
    region: 'auto',
    connections,
    credentials: { current: async () => ({ accessKeyId: 'A', secretAccessKey: 'S' }), renew: () => false },
    clock: systemClock,
    signal: new AbortController().signal,
  });
}

it.each(['it begins', 'its parts are on their way'])(
  'An upload that is cancelled while %s is given up, by the id that the service had still to say',
  async (when) => {
    const stop = new AbortController();
    const asked: string[] = [];
    const service = await serviceOf((incoming, outgoing) => {
      const { method, url } = incoming;
      asked.push(`${method} ${url}`);
      const answer = (): void => void outgoing.setHeader('etag', '"x"').end('<X><UploadId>u1</UploadId></X>');
      incoming.resume().on('end', () => {
        if (method !== (when === 'it begins' ? 'POST' : 'PUT')) return answer();
        stop.abort();
        setTimeout(answer, 300);
      });
    });
    const put = putInParts(service, {
      ...{ doing: 'store an object', key: 'repo/data/a', parts: [Buffer.alloc(200_000)], partBytes: 50_000 },
      ...{ headers: {}, md5: false, signal: stop.signal },
    });
    await expect(put).rejects.toMatchObject({ code: 'cancelled' });
    expect(asked[0]).toBe('POST /bucket/repo/data/a?uploads=');
    expect(asked).toContain('DELETE /bucket/repo/data/a?uploadId=u1');
  },
);

it('Unfinished uploads of the repository older than a day by the service’s clock are given up, once', async () => {
  const upload = (key: string, id: string, initiated: string): string =>
    `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
  const uploads =
    upload('repo/data/a', 'old', '2030-01-01T10:00:00.000Z') +
    upload('repo/data/b', 'young', '2030-01-02T09:00:00.000Z') +
    upload('other/data/a', 'foreign', '2029-01-01T00:00:00.000Z');
  const asked: string[] = [];
  const service = await serviceOf((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    outgoing.setHeader('date', 'Wed, 02 Jan 2030 11:00:00 GMT');
    outgoing.end(`<ListMultipartUploadsResult>${uploads}</ListMultipartUploadsResult>`);
  });
  const sweep = new UploadSweep(service);
  await Promise.all([sweep.once(), sweep.once()]);
  await sweep.once();
  expect(asked).toEqual([
    'GET /bucket?uploads=&prefix=repo%2F&encoding-type=url',
    'DELETE /bucket/repo/data/a?uploadId=old',
  ]);
});
