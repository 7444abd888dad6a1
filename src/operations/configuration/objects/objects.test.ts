import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import { createLog } from '../../../base/log.ts';
import type { Secret } from '../../../base/secrets.ts';
import { type Catalogue, openCatalogue } from '../../../catalogue/open.ts';
import { loadConfig } from '../../../config/index.ts';
import { drivers } from '../../../drivers/registry.ts';
import { hostKinds, localHost } from '../../../hosts/registry.ts';
import { localPrincipal } from '../../../model/principal.ts';
import { silent } from '../../../model/run.ts';
import { channelKinds } from '../../../notify/registry.ts';
import { storageKinds } from '../../../storage/registry.ts';
import { ConfigStore } from '../config-store.ts';
import { objectGet, objectList, objectPut, objectRemove } from './objects.ts';

const known = { drivers, hostKinds, storageKinds, channelKinds };
const text = `
repositories:
  nas: { url: /nas, password: hunter2hunter2 }
policies:
  nightly: { schedule: "0 2 * * *", repositories: [nas] }
sources:
  shop: { driver: files, paths: [/srv], policy: nightly }
`;

let folder: string;
let file: string;
let catalogue: Catalogue;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-objects-'));
  file = join(folder, 'holdfast.yaml');
  writeFileSync(file, text);
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
});
afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const host = localHost();
const uses = async () => ({
  config: await loadConfig(file, known),
  ...known,
  catalogue,
  principal: localPrincipal('anna'),
  env: { HOLDFAST_STATE: folder },
  localHost: () => host,
  openContainers: async () => undefined,
  clock: systemClock,
  signal: new AbortController().signal,
  report: silent,
});
const put = async (
  section: 'sources' | 'policies' | 'repositories' | 'hosts',
  name: string,
  value: Record<string, unknown>,
) => await objectPut.run({ section, name, value }, await uses());

describe('entries made over the API', () => {
  const postgres = {
    driver: 'postgres',
    url: 'postgres://holdfast@db/wiki',
    password: 'geheim-geheim',
    policy: 'nightly',
  };

  it('are kept with their secrets sealed, and nothing gives one back', async () => {
    expect(await put('sources', 'wiki', postgres)).toMatchObject({ made: true, sealed: ['sources.wiki.password'] });
    const rows = [
      await catalogue.db.selectFrom('configObject').selectAll().execute(),
      await catalogue.db.selectFrom('sealedSecret').selectAll().execute(),
      await objectGet.run({ section: 'sources', name: 'wiki' }, await uses()),
      await objectList.run({}, await uses()),
    ];
    expect(JSON.stringify(rows)).not.toContain('geheim');
    expect(JSON.stringify(rows)).not.toContain('hunter2');
    const got = await objectGet.run({ section: 'sources', name: 'wiki' }, await uses());
    expect(got).toMatchObject({
      origin: 'ui',
      changedBy: 'anna',
      isUsed: true,
      value: { password: { stored: 'sources.wiki.password' } },
    });
    const store = await ConfigStore.open({ ...(await uses()), file, known, log: createLog({ level: 'silent' }) });
    const { password } = store.config.sources.get('wiki')!.settings as { password: { open(): Promise<Secret> } };
    expect((await password.open()).reveal()).toBe('geheim-geheim');
  });

  it('may be given back as they were got: the secret stays; without it, it goes', async () => {
    await put('sources', 'wiki', postgres);
    const { value } = await objectGet.run({ section: 'sources', name: 'wiki' }, await uses());
    expect(await put('sources', 'wiki', value as Record<string, unknown>)).toMatchObject({ made: false, sealed: [] });
    const secrets = () => catalogue.db.selectFrom('sealedSecret').select('name').execute();
    expect((await secrets()).map((one) => one.name).toSorted()).toEqual([':key', 'sources.wiki.password']);
    await put('sources', 'wiki', { ...postgres, password: { env: 'WIKI' } });
    expect(await secrets()).toEqual([{ name: ':key' }]);
    await put('sources', 'wiki', postgres);
    await objectRemove.run({ section: 'sources', name: 'wiki' }, await uses());
    expect(await secrets()).toEqual([{ name: ':key' }]);
  });

  it('are checked like the file, as a whole, before anything is kept', async () => {
    await expect(put('sources', 'wiki', { driver: 'files', paths: ['/w'], policy: 'weekly' })).rejects.toMatchObject({
      code: 'config.invalid',
      problems: [{ path: 'sources.wiki.policy', message: expect.stringContaining('weekly') }],
    });
    await expect(put('sources', 'bad name', { driver: 'files', paths: ['/w'], policy: 'nightly' })).rejects.toThrow(
      'is not a name',
    );
    await expect(put('sources', 'wiki', { ...postgres, password: null })).rejects.toThrow('is empty');
    await expect(put('sources', 'wiki', { ...postgres, password: { stored: 'other' } })).rejects.toThrow(
      'which is not there',
    );
    await expect(
      put('sources', 'cmd', { driver: 'command', command: ['dump', '--password=geheim-geheim'], policy: 'nightly' }),
    ).rejects.toThrow('sources.cmd.command[1] holds a secret where none belongs');
    expect(await catalogue.db.selectFrom('configObject').selectAll().execute()).toEqual([]);
  });

  it('never take over what the file owns, and are not removed while others need them', async () => {
    await expect(put('sources', 'shop', { driver: 'files', paths: ['/x'], policy: 'nightly' })).rejects.toMatchObject({
      code: 'object.owned',
    });
    await expect(objectRemove.run({ section: 'sources', name: 'shop' }, await uses())).rejects.toMatchObject({
      code: 'object.owned',
    });
    await expect(objectRemove.run({ section: 'sources', name: 'none' }, await uses())).rejects.toMatchObject({
      code: 'object.unknown',
    });
    await put('policies', 'weekly', { every: '7d', repositories: ['nas'] });
    await put('sources', 'wiki', { driver: 'files', paths: ['/w'], policy: 'weekly' });
    await expect(objectRemove.run({ section: 'policies', name: 'weekly' }, await uses())).rejects.toThrow(
      'sources.wiki.policy names the policy «weekly»',
    );
    const { objects } = await objectList.run({ section: 'sources' }, await uses());
    expect(objects.map((one) => `${one.origin} ${one.name}`)).toEqual(['file shop', 'ui wiki']);
    const shop = await objectGet.run({ section: 'repositories', name: 'nas' }, await uses());
    expect(shop).toMatchObject({ origin: 'file', value: { url: '/nas', password: '***' } });
  });
});
