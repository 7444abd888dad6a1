import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { HttpRequest } from './exchange.ts';
import { SocketExchanges } from './exchange-over-socket.ts';

type Answer = (stream: ServerHttp2Stream, path: string) => void;

/** A server at the other end of sockets. */
async function serve(answer: Answer) {
  const server = createServer();
  const ends: Socket[] = [];
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    answer(stream, String(headers[':path']));
  });
  server.on('connection', (socket: Socket) => ends.push(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const dial = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  const exchanges = new SocketExchanges({ dial, most: 4, silenceMs: 2000 });
  onTestFinished(() => {
    exchanges.close();
    for (const end of ends) end.destroy();
    server.close();
  });
  return { exchanges, ends };
}

const get = (path: string): HttpRequest => ({ method: 'GET', protocol: 'http:', host: 'localhost', path, headers: {} });

const echo: Answer = (stream) => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    if (stream.destroyed) return;
    const body = Buffer.concat(chunks);
    stream.respond({ ':status': 200, 'content-length': body.length });
    stream.end(body);
  });
};

test('bodies go out of shared memory and come into the caller’s, large and small, many at once over one socket', async () => {
  const { exchanges, ends } = await serve(echo);
  const sizes = [1, 100, 70_000, 3_000_000, 12_000_000, 0, 5, 65_536];
  await Promise.all(
    sizes.map(async (size) => {
      const shared = new Uint8Array(new SharedArrayBuffer(size)).map((_, at) => at % 251);
      const into = new Uint8Array(new SharedArrayBuffer(size));
      const parts = [shared.subarray(0, size >> 1), shared.subarray(size >> 1)];
      const reply = await exchanges.exchange({ ...get('/'), method: 'POST', body: parts, room: () => into });
      expect(reply.status).toBe(200);
      expect(Buffer.from(into).equals(Buffer.from(shared))).toBe(true);
    }),
  );
  expect(ends).toHaveLength(1);
});

test('a refusal that comes before the body is through is heard', async () => {
  const { exchanges } = await serve((stream) => {
    stream.respond({ ':status': 403 });
    stream.end('no');
  });
  const body = [new Uint8Array(40_000_000)];
  expect(await exchanges.exchange({ ...get('/'), method: 'POST', body })).toMatchObject({ status: 403 });
});

test('an answer that is cut, too long or too short, or does not come is an error; the next one is asked over a new socket', async () => {
  const { exchanges, ends } = await serve((stream, path) => {
    if (path === '/silence') return;
    stream.respond({ ':status': 200, 'content-length': 100 });
    if (path === '/whole') stream.end(Buffer.alloc(100));
    else stream.write('x', () => (path === '/cut' ? ends.at(-1)?.destroy() : stream.close()));
  });
  await expect(exchanges.exchange(get('/reset'))).rejects.toMatchObject({ code: 'ECONNRESET' });
  await expect(exchanges.exchange({ ...get('/whole'), room: () => new Uint8Array(99) })).rejects.toMatchObject({
    code: 'EMSGSIZE',
  });
  await expect(exchanges.exchange({ ...get('/whole'), room: () => new Uint8Array(101) })).rejects.toMatchObject({
    code: 'ECONNRESET',
  });
  await expect(exchanges.exchange(get('/cut'))).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect((await exchanges.exchange(get('/whole'))).body).toHaveLength(100);
  expect(ends).toHaveLength(2);
  await expect(exchanges.exchange(get('/silence'))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
});

test('an abort ends it at once', async () => {
  const stop = new AbortController();
  const { exchanges } = await serve(() => stop.abort());
  await expect(exchanges.exchange({ ...get('/'), signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
});
