/** An engine that takes connections and never answers, as one does that hangs. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { docker } from '../../src/hosts/docker/index.ts';
import { tools } from '../support/ssh-hosts.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-silent-'));
const socket = join(folder, 'engine.sock');
const clients = new Set<Socket>();
const engine = createServer((client) => {
  clients.add(client);
  client
    .on('error', () => {})
    .on('close', () => clients.delete(client))
    .resume();
});

beforeAll(async () => {
  engine.listen(socket);
  await once(engine, 'listening');
});
afterAll(() => {
  for (const client of clients) client.destroy();
  engine.close();
  rmSync(folder, { recursive: true, force: true });
});

test('is given up after a minute', async () => {
  const clock = { ...systemClock, sleep: (ms: number, how?: object) => systemClock.sleep(ms / 600, how) };
  const opened = docker.open('box', { docker: 'box', socket }, { ...tools(), clock });
  await expect(opened).rejects.toMatchObject({ code: 'host.unreachable', retry: 'later' });
  await expect.poll(() => clients.size).toBe(0);
});

test('does not keep the work from being cancelled', async () => {
  const cancel = new AbortController();
  const opened = docker.open('box', { docker: 'box', socket }, tools(undefined, cancel.signal));
  const outcome = expect(opened).rejects.toMatchObject({ code: 'cancelled' });
  await expect.poll(() => clients.size).toBe(1);
  cancel.abort();
  await outcome;
  await expect.poll(() => clients.size).toBe(0);
});
