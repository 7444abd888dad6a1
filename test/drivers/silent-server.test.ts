/** What listens and never answers, as a program that hangs does, or a proxy with nothing behind it. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { AnyDriver, SourceContext } from '../../src/drivers/driver.ts';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { mysql } from '../../src/drivers/mysql/index.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { localHost } from '../../src/hosts/local/index.ts';

const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  // Only whether it offers TLS: PostgreSQL's one byte, that of a server which then says no more.
  socket.once('data', () => socket.write('S'));
  socket.on('error', () => {}).on('close', () => sockets.delete(socket));
});
let at: string;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  at = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** A minute passes in a tenth of a second. */
const hasty: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(ms / 600, options) };

interface Case {
  readonly how: string;
  readonly driver: AnyDriver;
  /** Settings, where `AT` stands for the server's address. */
  readonly given: object;
}

const bounded: readonly Case[] = [
  { how: 'PostgreSQL', driver: postgres, given: { url: 'postgres://app@AT/shop', tls: { mode: 'disable' } } },
  { how: 'PostgreSQL over TLS', driver: postgres, given: { url: 'postgres://app@AT/shop', tls: { mode: 'require' } } },
  { how: 'Redis', driver: redis, given: { url: 'redis://AT' } },
  { how: 'Redis over TLS', driver: redis, given: { url: 'rediss://AT' } },
];
/** Whose clients have a limit of their own. */
const patient: readonly Case[] = [
  { how: 'MySQL', driver: mysql, given: { url: 'mysql://app@AT/shop' } },
  { how: 'MongoDB', driver: mongodb, given: { url: 'mongodb://AT' } },
];

function sourceOf({ driver, given }: Case, more: Partial<SourceContext<unknown>>): SourceContext<unknown> {
  const settings = driver.settings.parse(JSON.parse(JSON.stringify(given).replace('AT', at)));
  return unattended({ name: 'shop', settings, host: localHost(), local: localHost(), ...more });
}

it.each(bounded)('a backup of $how ends when the server does not answer', async (one) => {
  const backup = one.driver.capture(sourceOf(one, { clock: hasty }));
  await expect(backup).rejects.toMatchObject({ code: 'host.unreachable', retry: 'later' });
  await expect.poll(() => sockets.size).toBe(0);
});

it.each([...bounded, ...patient])('a backup of $how can be cancelled while the server does not answer', async (one) => {
  const cancel = new AbortController();
  const backup = one.driver.capture(sourceOf(one, { signal: cancel.signal }));
  const outcome = expect(backup).rejects.toMatchObject({ code: 'cancelled' });
  await expect.poll(() => sockets.size).toBeGreaterThan(0);
  cancel.abort();
  await outcome;
  // MongoDB's client takes its time to leave, which nobody waits for.
  if (one.driver !== mongodb) await expect.poll(() => sockets.size).toBe(0);
});
