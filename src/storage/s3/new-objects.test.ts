/** Services that do not know conditional puts, played by a real HTTP server that stores like one. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secrets.ts';
import { openStorage } from '../open.ts';
import type { Storage } from '../storage.ts';
import { s3Storage } from './index.ts';

interface Stored {
  readonly body: Buffer;
  readonly mark: string;
}

type Behaviour = 'heeds' | 'refuses' | 'ignores';

async function bucket(behaviour: Behaviour): Promise<{ open: () => Promise<Storage>; objects: Map<string, Stored> }> {
  const objects = new Map<string, Stored>();
  const put = (path: string, incoming: IncomingMessage, body: Buffer): number => {
    const conditional = incoming.headers['if-none-match'] === '*';
    if (conditional && behaviour === 'refuses') return 501;
    if (conditional && behaviour === 'heeds' && objects.has(path)) return 412;
    objects.set(path, { body, mark: String(incoming.headers['x-amz-meta-holdfast-put']) });
    return 200;
  };
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const path = incoming.url ?? '';
    const body = Buffer.concat(await (incoming as Readable).toArray());
    const stored = objects.get(path);
    if (incoming.method === 'PUT') outgoing.writeHead(put(path, incoming, body)).end();
    else if (path.includes('list-type')) {
      outgoing.writeHead(200, { 'content-type': 'application/xml' }).end('<ListBucketResult></ListBucketResult>');
    } else if (!stored) outgoing.writeHead(404).end();
    else {
      outgoing.writeHead(200, { 'content-length': stored.body.byteLength, 'x-amz-meta-holdfast-put': stored.mark });
      outgoing.end(incoming.method === 'HEAD' ? undefined : stored.body);
    }
  };
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const secretAccessKey = { from: 'clear', secret: new Secret('s') } as const;
  const open = async () => {
    const storage = await openStorage([s3Storage], `s3:http://127.0.0.1:${port}/bucket`, {
      create: false,
      settings: s3Storage.settings?.parse({ accessKeyId: 'a', secretAccessKey }),
      tools: {
        clock: systemClock,
        env: {},
        signal: new AbortController().signal,
        secret: async (reference) => (reference.from === 'clear' ? reference.secret : new Secret('')),
      },
    });
    onTestFinished(() => storage.close());
    return storage;
  };
  return { open, objects };
}

test.each(['heeds', 'refuses', 'ignores'] as const)(
  'an object that must be new never replaces one that is there, at a service that %s the condition',
  async (behaviour) => {
    const { open, objects } = await bucket(behaviour);
    const storage = await open();
    await storage.put('config', [utf8('first')]);
    const exists = { code: 'storage.exists' };
    await expect(storage.put('config', [utf8('second')], { mustNotExist: true })).rejects.toMatchObject(exists);
    await storage.put('keys/a', [utf8('a')], { mustNotExist: true });
    for (const name of ['config', 'keys/a']) {
      await expect(storage.put(name, [utf8('later')], { mustNotExist: true })).rejects.toMatchObject(exists);
      await expect((await open()).put(name, [utf8('later')], { mustNotExist: true })).rejects.toMatchObject(exists);
    }
    await storage.put('keys/b', [utf8('b')], { mustNotExist: true });
    expect([...objects.values()].map(({ body }) => body.toString())).toEqual(['first', 'a', 'b']);
  },
);
