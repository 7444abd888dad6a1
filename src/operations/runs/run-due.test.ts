import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../base/clock.ts';
import { openCatalogue } from '../../catalogue/open.ts';
import { emptyConfig, parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import { localPrincipal } from '../../model/principal.ts';
import { channelKinds } from '../../notify/registry.ts';
import { storageKinds } from '../../storage/registry.ts';
import { runDue } from './run-due.ts';

const told: string[] = [];
let isThere = true;
const receiver = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const { type, data } = JSON.parse(Buffer.concat(parts).toString()) as { type: string; data: { id: string } };
    if (isThere) told.push(`${type} ${data.id}`);
    response.writeHead(isThere ? 204 : 503).end();
  });
});
beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
});
afterAll(() => receiver.close());

it('tells at its end what happened, and what the call before could not', async () => {
  const { port } = receiver.address() as AddressInfo;
  const known = { drivers, storageKinds, hostKinds, channelKinds };
  const text = `
repositories: { nas: { url: /nonexistent/holdfast-run-due, password: { env: PW } } }
policies: { nightly: { every: 6h, repositories: [nas], retry: { attempts: 1 } } }
sources: { shop: { driver: files, paths: [/nonexistent], policy: nightly } }
notifications: { hook: { webhook: "http://127.0.0.1:${port}/", secret: { env: HOOK }, on: ["backup.failed"] } }
`;
  const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), known);
  let aheadMs = 0;
  // Nobody waits for a next try here.
  const clock: Clock = {
    nowMs: () => systemClock.nowMs() + aheadMs,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    sleep: async (ms, options) => {
      // Half a minute exactly is the limit of a request.
      if (ms > 20_000 && ms < 30_000) aheadMs += ms;
      else await systemClock.sleep(ms, options);
    },
  };
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => clock.nowMs());
  const host = localHost();
  const uses = {
    ...{ ...known, config, catalogue, clock, principal: localPrincipal('root') },
    env: {
      PW: 'a long password',
      HOOK: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
      HOLDFAST_STATE: '/nonexistent/state',
    },
    ...{ localHost: () => host, openContainers: async () => undefined, report: () => undefined },
    signal: new AbortController().signal,
  };
  const pass = async (hours: number) => {
    aheadMs += hours * 3_600_000;
    return await runDue.run({}, uses);
  };
  expect(await pass(0)).toMatchObject({ ok: true, runs: [], untold: 0 });
  isThere = false;
  expect(await pass(6)).toMatchObject({ ok: false, runs: [{ kind: 'backup', state: 'failed' }], untold: 1 });
  expect(told).toEqual([]);
  isThere = true;
  expect(await pass(6)).toMatchObject({ ok: false, untold: 0 });
  expect(told.map((one) => one.split(' ')[0])).toEqual(['backup.failed', 'backup.failed']);
  expect(new Set(told).size).toBe(2);
  expect(await pass(0)).toMatchObject({ ok: true, runs: [] });
  expect(told).toHaveLength(2);
});

it('a pass that fails gives back its lease: the next one is not refused', async () => {
  const known = { drivers, storageKinds, hostKinds, channelKinds };
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => systemClock.nowMs());
  const uses = {
    ...{ ...known, config: emptyConfig('/etc/holdfast.yaml'), catalogue, clock: systemClock },
    ...{ principal: localPrincipal('root'), env: { HOLDFAST_STATE: '/nonexistent/state' } },
    ...{ localHost, openContainers: async () => undefined, report: () => undefined },
    signal: new AbortController().signal,
  };
  const row = { id: 'aa', runId: 'ended', worker: 'w', document: 'cut off: {', openedAtMs: 1 };
  await catalogue.db.insertInto('openWindow').values(row).execute();
  await expect(runDue.run({}, uses)).rejects.toThrow(SyntaxError);
  await catalogue.db.deleteFrom('openWindow').execute();
  expect(await runDue.run({}, uses)).toMatchObject({ ok: true });
});
