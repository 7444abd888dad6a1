/** A policy belongs to one workspace, and sources of others may use it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import type { Principal } from '../../model/principal.ts';
import { storageKinds } from '../../storage/registry.ts';
import type { Call } from '../route.ts';
import { routes } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-policy-rights-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
const text = `
workspaces: { shop: { title: Shop } }
repositories: { nas: { url: ${folder}/nas, password: { env: PW } } }
policies:
  mixed: { schedule: "0 2 * * *", repositories: [{ name: nas, keep: { last: 1 } }], workspace: shop }
  own: { schedule: "0 3 * * *", repositories: [{ name: nas, keep: { last: 1 } }], workspace: shop }
sources:
  orders: { driver: files, paths: [/srv/orders], policy: mixed, workspace: shop }
  ledger: { driver: files, paths: [/srv/ledger], policy: mixed }
  carts: { driver: files, paths: [/srv/carts], policy: own, workspace: shop }
`;
const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), kinds);

const everywhere: Principal = { kind: 'user', name: 'anna', roles: new Map([['*', 'owner']]) };
const ofShop: Principal = { kind: 'user', name: 'dev', roles: new Map([['shop', 'owner']]) };

async function ask(id: string, input: object, principal: Principal): Promise<unknown> {
  const host = localHost();
  const execution = { clock: systemClock, signal: new AbortController().signal, report: () => undefined };
  const env = { PW: 'pw', HOLDFAST_CACHE: 'off' };
  const uses = { ...kinds, ...execution, config, env, principal, localHost: () => host };
  return await routes.find((one) => one.id === id)!.run(input, { uses } as unknown as Call);
}

test('who has a role in one workspace sees a policy with the sources of that workspace', async () => {
  const policies = async (principal: Principal): Promise<unknown> =>
    ((await ask('listPolicies', {}, principal)) as { policies: { name: string; sources: string[] }[] }).policies.map(
      ({ name, sources }) => [name, sources],
    );
  expect(await policies(ofShop)).toEqual([
    ['mixed', ['orders']],
    ['own', ['carts']],
  ]);
  expect(await policies(everywhere)).toEqual([
    ['mixed', ['orders', 'ledger']],
    ['own', ['carts']],
  ]);
});

test('what is forgotten by policy has to be the caller’s in every source of it, also on trial', async () => {
  for (const dryRun of [true, false]) {
    const forget = (policy: string, principal: Principal): Promise<unknown> =>
      ask('forgetSnapshots', { policy, dryRun }, principal);
    await expect(forget('mixed', ofShop)).rejects.toMatchObject({
      code: 'auth.forbidden',
      message: expect.stringContaining('«ledger»'),
    });
    // It may, and finds that there is no repository.
    await expect(forget('own', ofShop)).rejects.toMatchObject({ code: 'storage.not-found' });
    await expect(forget('mixed', everywhere)).rejects.toMatchObject({ code: 'storage.not-found' });
  }
});
