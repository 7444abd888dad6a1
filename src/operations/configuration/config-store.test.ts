import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { systemClock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { createLog } from '../../base/log.ts';
import { secretSetting } from '../../base/secret-reference.ts';
import { Secret } from '../../base/secrets.ts';
import { listHappenings } from '../../catalogue/happenings.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import type { Declared, Known } from '../../config/index.ts';
import type { AnyDriver } from '../../drivers/driver.ts';
import { ConfigStore, type LabelReading, type StoreUses } from './config-store.ts';
import { readInUse } from './in-use.ts';
import { openSealing, sealingWith } from './sealing.ts';

const known: Known = {
  drivers: [
    { name: 'files', settings: z.strictObject({ paths: z.array(z.string()), token: secretSetting('x').optional() }) },
  ] as unknown as AnyDriver[],
  hostKinds: [],
  storageKinds: [{ name: 'local', urlForm: '/path', recognises: () => true }] as unknown as Known['storageKinds'],
  channelKinds: [],
};
const text = (paths: string, more = '') => `
repositories:
  nas: { url: /nas, password: { env: PW } }
policies:
  nightly: { schedule: "0 2 * * *", repositories: [nas] }
sources:
  shop: { driver: files, paths: ${paths}, policy: nightly }
${more}`;

let folder: string;
let file: string;
let catalogue: Catalogue;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  file = join(folder, 'holdfast.yaml');
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
});
afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const uses = (more: Partial<StoreUses> = {}): StoreUses => ({
  file,
  known,
  catalogue,
  clock: systemClock,
  signal: new AbortController().signal,
  log: createLog({ level: 'silent' }),
  env: { HOLDFAST_STATE: folder },
  localHost: () => {
    throw new Error('no program is run here');
  },
  ...more,
});

async function addObject(section: string, name: string, value: object): Promise<void> {
  const row = { section, name, value: JSON.stringify(value), changedAtMs: Date.now(), changedBy: 'anna' };
  await catalogue.db.insertInto('configObject').values(row).execute();
}

async function happened(): Promise<string[]> {
  const { events } = await listHappenings(catalogue, {}, { limit: 50 });
  return events.map((one) => `${one.type}: ${one.title}`).toReversed();
}

describe('the configuration of a server', () => {
  it('reads its key again at the next need when it could not be read', async () => {
    writeFileSync(file, text('[/srv]'));
    const key = join(folder, 'server.key');
    const sealed = (await (await ConfigStore.open(uses())).sealing()).seal(new Secret('geheim'));
    renameSync(key, `${key}.away`);
    const store = await ConfigStore.open(uses());
    await expect(store.sealing()).rejects.toMatchObject({ code: 'secret.unavailable' });
    renameSync(`${key}.away`, key);
    const [one, other] = await Promise.all([store.sealing(), store.sealing()]);
    expect([one.open(sealed).reveal(), one === other]).toEqual(['geheim', true]);
  });

  it('is the file with what was made over the API, and takes changes up', async () => {
    writeFileSync(file, text('[/srv]'));
    await addObject('sources', 'wiki', { driver: 'files', paths: ['/wiki'], policy: 'nightly' });
    const store = await ConfigStore.open(uses());
    expect([...store.config.sources.keys()]).toEqual(['shop', 'wiki']);
    expect(await store.reload()).toMatchObject({ outcome: 'unchanged' });
    writeFileSync(file, text('[/srv, /etc]', 'server: { listen: "127.0.0.1:1" }'));
    await addObject('policies', 'weekly', { every: '7d', repositories: ['nas'] });
    const told: string[] = [];
    store.onReload((reload) => told.push(reload.outcome));
    const reload = await store.reload();
    expect(reload).toMatchObject({ outcome: 'changed', restart: ['server.listen'] });
    expect(store.config.sources.get('shop')?.settings).toEqual({ paths: ['/srv', '/etc'] });
    expect(told).toEqual(['changed']);
    expect(await happened()).toEqual(['config.changed: the configuration was changed: 1 added, 2 changed']);
    expect((await readInUse(catalogue))?.text).toContain('weekly');
  });

  it('stays as it was when the file has errors, which is told once', async () => {
    writeFileSync(file, text('[/srv]'));
    const store = await ConfigStore.open(uses());
    writeFileSync(file, text('[/srv]').replace('policy: nightly', 'policy: nigthly'));
    expect(await store.reload()).toMatchObject({
      outcome: 'refused',
      problems: [{ path: 'sources.shop.policy', line: 7 }],
    });
    await store.reload();
    expect(store.config.sources.get('shop')?.policy).toBe('nightly');
    expect(store.refused?.problems).toHaveLength(1);
    unlinkSync(file);
    expect(await store.reload()).toMatchObject({ outcome: 'refused', message: expect.stringContaining('there is no') });
    writeFileSync(file, text('[/srv]'));
    expect(await store.reload()).toMatchObject({ outcome: 'unchanged' });
    expect(store.refused).toBeUndefined();
    expect(await happened()).toEqual([
      `config.refused: the changed configuration is not used: ${file} has an error`,
      `config.refused: the changed configuration is not used: there is no configuration file ${file}`,
    ]);
  });

  it('refuses a file that would put an entry of the API out of use, and leaves out at its start what cannot be used', async () => {
    writeFileSync(file, text('[/srv]'));
    await addObject('sources', 'wiki', { driver: 'files', paths: ['/wiki'], policy: 'nightly' });
    const store = await ConfigStore.open(uses());
    const renamed = text('[/srv]').replaceAll('nightly', 'daily');
    writeFileSync(file, renamed);
    expect(await store.reload()).toMatchObject({ outcome: 'refused', problems: [{ path: 'sources.wiki.policy' }] });
    expect(store.config.policies.has('nightly')).toBe(true);
    const fresh = await ConfigStore.open(uses());
    expect([...fresh.config.sources.keys()]).toEqual(['shop']);
    expect(fresh.config.leftOut).toMatchObject([{ file: 'made over the API', path: 'sources.wiki.policy' }]);
    const events = await happened();
    expect(events.at(-2)).toBe('config.refused: entries that are not in the file are not used: 1 with errors');
    expect(events.at(-1)).toContain('config.changed: the configuration was changed:');
  });

  it('knows what labels declare; a container that is gone for one look only is not missed, an engine that is away neither', async () => {
    writeFileSync(file, text('[/srv]', 'server: { labels: true }'));
    const declared: Declared = {
      section: 'sources',
      name: 'redis',
      value: { driver: 'files', paths: ['/data'], policy: 'nightly' },
      origin: 'label',
      title: 'container redis-1',
    };
    let answer: LabelReading | Error = { declared: [declared], problems: [] };
    const readLabels = async (): Promise<LabelReading> => {
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const store = await ConfigStore.open(uses({ readLabels }));
    expect(store.config.origins.get('sources/redis')).toBe('label');
    answer = { declared: [], problems: [] };
    await store.reload();
    expect(store.config.sources.has('redis')).toBe(true);
    await store.reload();
    expect(store.config.sources.has('redis')).toBe(false);
    answer = new HoldfastError({ code: 'host.unreachable', message: 'away', remedy: 'start it' });
    await store.reload();
    answer = { declared: [declared], problems: [] };
    await store.reload();
    answer = new HoldfastError({ code: 'host.unreachable', message: 'away', remedy: 'start it' });
    for (let i = 0; i < 3; i++) await store.reload();
    expect(store.config.sources.has('redis')).toBe(true);
    expect((await happened()).filter((one) => one.includes('are not used: 1 with errors'))).toHaveLength(2);
    writeFileSync(file, text('[/srv]'));
    await store.reload();
    expect(store.config.sources.has('redis')).toBe(false);
    answer = { declared: [declared], problems: [] };
    writeFileSync(file, text('[/srv]', 'server: { labels: true }'));
    await store.reload();
    expect(store.config.sources.has('redis')).toBe(true);
  });

  it.each(['an editor', 'a turned link'])(
    'is followed: %s puts a new file in the place of the old one',
    async (how) => {
      const write = (content: string, version: string): void => {
        if (how === 'an editor') {
          writeFileSync(`${file}.new`, content);
          renameSync(`${file}.new`, file);
          return;
        }
        mkdirSync(join(folder, version));
        writeFileSync(join(folder, version, 'holdfast.yaml'), content);
        symlinkSync(version, join(folder, '..data_tmp'));
        renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
        if (version === 'v1') symlinkSync('..data/holdfast.yaml', file);
      };
      write(text('[/srv]'), 'v1');
      const stop = new AbortController();
      const store = await ConfigStore.open(uses());
      const following = store.follow(stop.signal);
      // What is changed before the first look is found by the first look.
      await new Promise((resolve) => setTimeout(resolve, 50));
      write(text('[/srv, /etc]'), 'v2');
      await vi.waitFor(
        () => expect(store.config.sources.get('shop')?.settings).toEqual({ paths: ['/srv', '/etc'] }),
        20_000,
      );
      await addObject('policies', 'weekly', { every: '7d', repositories: ['nas'] });
      await vi.waitFor(() => expect(store.config.policies.has('weekly')).toBe(true), 20_000);
      stop.abort();
      await following;
    },
  );
});

describe('the server’s key', () => {
  const config = () => ConfigStore.open(uses()).then((store) => store.config);

  it('is made once, and never again where something was sealed with it', async () => {
    writeFileSync(file, text('[/srv]'));
    const all = { ...uses(), config: await config() };
    const sealing = await openSealing(all);
    const sealed = sealing.seal(new Secret('hunter2'), 'sources.shop.token');
    expect(sealed).not.toContain('hunter2');
    expect((await openSealing(all)).open(sealed, 'sources.shop.token').reveal()).toBe('hunter2');
    rmSync(join(folder, 'server.key'));
    await expect(openSealing(all)).rejects.toMatchObject({
      code: 'secret.unavailable',
      message: expect.stringContaining('is missing'),
    });
    writeFileSync(join(folder, 'server.key'), Buffer.alloc(32, 7).toString('base64'));
    await expect(openSealing(all)).rejects.toMatchObject({ message: expect.stringContaining('another one') });
    writeFileSync(join(folder, 'server.key'), 'short');
    await expect(openSealing(all)).rejects.toMatchObject({ code: 'config.invalid' });
  });

  it('opens nothing that was sealed for another purpose, or changed', () => {
    const sealing = sealingWith(new Secret(Buffer.alloc(32, 1).toString('base64')), 'x');
    const sealed = sealing.seal(new Secret('hunter2'), 'a');
    expect(() => sealing.open(sealed, 'b')).toThrow('cannot be opened');
    expect(() => sealing.open(sealed.slice(0, -6), 'a')).toThrow('cannot be opened');
    expect(() => sealing.open('', 'a')).toThrow('cannot be opened');
    expect(sealing.seal(new Secret('hunter2'), 'a')).not.toBe(sealed);
  });

  it('is needed to start where secrets are stored', async () => {
    writeFileSync(file, text('[/srv]'));
    const sealing = await openSealing({ ...uses(), config: await config() });
    const row = {
      name: 'sources.wiki.token',
      sealed: sealing.seal(new Secret('hunter2'), 'sources.wiki.token'),
      changedAtMs: 1,
    };
    await catalogue.db.insertInto('sealedSecret').values(row).execute();
    await addObject('sources', 'wiki', {
      driver: 'files',
      paths: ['/w'],
      policy: 'nightly',
      token: { stored: row.name },
    });
    const store = await ConfigStore.open(uses());
    const { token } = store.config.sources.get('wiki')!.settings as { token: { open(): Promise<Secret> } };
    expect((await token.open()).reveal()).toBe('hunter2');
    rmSync(join(folder, 'server.key'));
    await expect(ConfigStore.open(uses())).rejects.toMatchObject({ code: 'secret.unavailable' });
  });
});
