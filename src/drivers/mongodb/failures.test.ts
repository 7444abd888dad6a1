import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { failureOf } from './failures.ts';

/** What a socket says to who writes when the other side has just gone: an error without a system call. */
async function writeTooLate(): Promise<unknown> {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  const failed = once(client, 'error');
  client.once('prefinish', () => client.write('a command'));
  const [error] = await failed;
  server.close();
  return error;
}

it('what breaks a connection is told with a remedy, also when the client passes it on as it is', async () => {
  const broken = await writeTooLate();
  expect(broken).toMatchObject({ code: 'EPIPE', message: 'This socket has been ended by the other party' });
  const failure = failureOf('mongodb://db:27017', 'to read shop.orders', broken);
  expect(failure).toMatchObject({ code: 'host.unreachable', retry: 'later', cause: broken });
  expect((failure as Error).message).toMatch(/^no connection to mongodb:\/\/db:27017 \(to read shop\.orders\)/);
});

it('a fault of ours stays one', () => {
  const fault = new TypeError('x is undefined');
  expect(failureOf('mongodb://db:27017', 'find', fault)).toBe(fault);
});
