import { expect, test } from 'vitest';
import { parseConfig } from '../config/index.ts';
import { drivers } from '../drivers/registry.ts';
import { hostKinds } from '../hosts/registry.ts';
import type { Principal } from '../model/principal.ts';
import { storageKinds } from '../storage/registry.ts';
import type { McpUses } from './parts.ts';
import { requireTarget } from './rights.ts';

const kinds = { drivers, storageKinds, hostKinds, channelKinds: [] };
const text = `
workspaces: { shop: { title: Shop } }
repositories: { nas: { url: /mnt/nas, password: { env: PW } } }
hosts: { far: { ssh: root@far } }
sources:
  shop: { driver: postgres, url: "postgres://a@localhost/shop", repository: nas, workspace: shop }
  staging: { driver: postgres, url: "postgres://a@localhost/staging", repository: nas, workspace: shop }
  ledger: { driver: postgres, url: "postgres://a@localhost/ledger", repository: nas }
`;
const config = parseConfig('/etc/holdfast.yaml', Buffer.from(text), kinds);
const places = ['/tmp/x', './x', 'far:/srv/x', 'another_database', 'postgres://a@localhost/x', 'ledger'];

function judge(to: string, held: Pick<Principal, 'roles' | 'sources'>): void {
  const principal: Principal = { kind: 'token', name: 'anna', ...held };
  requireTarget(to, 'operator', { config, principal } as McpUses);
}

test('who has a role in one workspace restores to a source of it, and nowhere else', () => {
  const roles = new Map([['shop', 'operator']] as const);
  expect(() => judge('staging', { roles })).not.toThrow();
  for (const to of places) expect(() => judge(to, { roles }), to).toThrow('anna may not');
  expect(() => judge('staging', { roles: new Map([['shop', 'restorer']]) })).toThrow('anna may not');
});

test('who is held to some sources restores to those, whatever the role', () => {
  const held = { roles: new Map([['*', 'owner']] as const), sources: new Set(['shop', 'staging']) };
  expect(() => judge('staging', held)).not.toThrow();
  for (const to of places) expect(() => judge(to, held), to).toThrow('anna may not');
});

test('who has the role everywhere chooses the place', () => {
  for (const to of places) expect(() => judge(to, { roles: new Map([['*', 'operator']]) }), to).not.toThrow();
});
