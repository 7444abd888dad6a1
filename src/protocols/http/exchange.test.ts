import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ConnectionOptions, HttpConnections, type HttpRequest, pieces } from './exchange.ts';

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return { host, server };
}

function connections(options: Partial<ConnectionOptions> = {}): HttpConnections {
  const made = new HttpConnections({ maxConnections: 4, silenceMs: 5000, env: {}, ...options });
  onTestFinished(() => made.close());
  return made;
}

const get = (host: string): HttpRequest => ({ method: 'GET', protocol: 'http:', host, path: '/x?y=%20', headers: {} });
const bodyOf = async (incoming: IncomingMessage): Promise<Buffer> =>
  Buffer.concat(await (incoming as Readable).toArray());

describe('an exchange', () => {
  it('sends what lies in shared memory, and receives into the caller’s memory', async () => {
    const { host } = await serve(async (incoming, outgoing) => outgoing.end(await bodyOf(incoming)));
    const shared = new Uint8Array(new SharedArrayBuffer(3_000_000)).map((_, at) => at % 251);
    const room = new Uint8Array(new SharedArrayBuffer(3_000_000));
    const body = [shared.subarray(0, 10), shared.subarray(10, 2_000_000), shared.subarray(2_000_000)];
    const reply = await connections().exchange({ ...get(host), method: 'PUT', body, room: () => room });
    expect(reply.body).toBe(room);
    expect(Buffer.compare(Buffer.from(room.slice()), Buffer.from(shared.slice()))).toBe(0);
  });

  it('uses connections again, and no more than it may', async () => {
    const sockets = new Set<unknown>();
    const { host } = await serve((incoming, outgoing) => {
      sockets.add(incoming.socket);
      outgoing.end('ok');
    });
    const some = connections({ maxConnections: 2 });
    await Promise.all(Array.from({ length: 30 }, () => some.exchange(get(host))));
    expect(sockets.size).toBeLessThanOrEqual(2);
  });

  it('hears a refusal that comes before the body is through', async () => {
    const { host } = await serve((_, outgoing) => outgoing.writeHead(403).end('no'));
    const body = [new Uint8Array(40_000_000)];
    const reply = await connections().exchange({ ...get(host), method: 'PUT', body });
    expect(reply.status).toBe(403);
  });

  it('fails if the reply is shorter or longer than it has to be', async () => {
    const { host } = await serve((_, outgoing) =>
      outgoing.writeHead(200, { 'content-length': 100 }).end(Buffer.alloc(100)),
    );
    const some = connections();
    for (const size of [99, 101]) {
      const asked = some.exchange({ ...get(host), room: () => new Uint8Array(size) });
      await expect(asked).rejects.toMatchObject({ code: size < 100 ? 'EMSGSIZE' : 'ECONNRESET' });
    }
    const cut = await serve((incoming, outgoing) => {
      outgoing.writeHead(200, { 'content-length': 100 }).write('x');
      setImmediate(() => incoming.socket.destroy());
    });
    await expect(some.exchange(get(cut.host))).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('does not wait for ever', async () => {
    const { host } = await serve(() => {});
    await expect(connections({ silenceMs: 50 }).exchange(get(host))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });

  it('ends at once when it is aborted; a decisive one that was sent is heard first', async () => {
    const stop = new AbortController();
    const { host } = await serve(async (incoming, outgoing) => {
      await bodyOf(incoming);
      stop.abort();
      if (incoming.method === 'PUT') setImmediate(() => outgoing.end('stored'));
    });
    const some = connections();
    await expect(some.exchange({ ...get(host), signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
    await expect(some.exchange({ ...get(host), signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const again = new AbortController();
    const put = { ...get(host), method: 'PUT', body: [new Uint8Array(5)], signal: again.signal, decisive: true };
    const reply = some.exchange(put);
    again.signal.throwIfAborted();
    setImmediate(() => again.abort());
    expect(Buffer.from((await reply).body).toString()).toBe('stored');
  });
});

it('Pieces are the parts in their order, large ones uncopied', () => {
  const sizes = fc.array(fc.oneof(fc.nat(100), fc.integer({ min: 60_000, max: 70_000 })), { maxLength: 30 });
  fc.assert(
    fc.property(sizes, (lengths) => {
      const parts = lengths.map((length, at) => new Uint8Array(length).fill(at));
      expect(Buffer.concat([...pieces(parts)]).equals(Buffer.concat(parts))).toBe(true);
    }),
    { numRuns: 30 },
  );
  const large = new Uint8Array(3 * 1024 * 1024 + 1);
  expect([...pieces([large])].map(({ buffer, byteLength }) => [buffer === large.buffer, byteLength])).toEqual([
    [true, 1_048_576],
    [true, 1_048_576],
    [true, 1_048_576],
    [true, 1],
  ]);
});
