import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { loadConfig, parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import { localPrincipal } from '../../model/principal.ts';
import { silent } from '../../model/run.ts';
import { channelKinds } from '../../notify/registry.ts';
import { storageKinds } from '../../storage/registry.ts';
import { apply } from './apply.ts';
import { ConfigStore } from './config-store.ts';
import { exportConfiguration } from './export.ts';
import { recordInUse } from './in-use.ts';
import { readMerged } from './merged.ts';
import { type PlanOutput, plan } from './plan.ts';

const known = { drivers, hostKinds, storageKinds, channelKinds };

const base = `# Our backups
repositories:
  nas: { url: ./nas, password: { file: ./pw } }
  r2: { url: ./r2, password: { file: ./pw } }
policies:
  nightly:
    schedule: "0 2 * * *" # at night
    repositories: [{ name: nas, keep: { daily: 14 } }]
    drill: { schedule: "0 6 * * 0" }
sources:
  shop: { driver: files, paths: [./shop], policy: nightly }
  wiki: { driver: files, paths: [./wiki], policy: nightly }
  notes: { driver: files, paths: [./notes], repository: nas }
notifications:
  phone: { ntfy: "https://ntfy.example/backups", on: [backup.failed] }
`;

const password = 'a password that is long';
let folder: string;
let file: string;
let catalogue: Catalogue;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-plan-'));
  file = join(folder, 'holdfast.yaml');
  writeFileSync(join(folder, 'pw'), password);
  writeFileSync(file, base);
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
});
afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const host = localHost();
async function uses() {
  return {
    config: await loadConfig(file, known),
    ...known,
    catalogue,
    principal: localPrincipal('anna'),
    env: { HOLDFAST_STATE: folder, HOLDFAST_CACHE: 'off' },
    localHost: () => host,
    openContainers: async () => undefined,
    clock: systemClock,
    signal: new AbortController().signal,
    report: silent,
  };
}

async function inUse(): Promise<void> {
  const { config, digest } = await readMerged(file, { known, catalogue });
  await recordInUse(catalogue, config, { known, digest, by: 'anna' });
}

async function snapshots(repository: string, source: string, count: number): Promise<void> {
  const none = { oldestMs: null, newestId: null, newestMs: null, newestTime: null, newestBytes: null };
  const proof = { proofId: null, proofSnapshot: null, proofAtMs: null, proofVerdict: null, proofRestoreMs: null };
  const passed = { passedSnapshot: null, passedAtMs: null, passedRestoreMs: null };
  const row = { repository, source, snapshots: count, ...none, ...proof, ...passed };
  await catalogue.db.insertInto('sourceState').values(row).execute();
}

async function planOf(text: string): Promise<PlanOutput> {
  writeFileSync(file, text);
  return await plan.run({}, await uses());
}

/** `sources.shop changed: !it moves …` */
const lines = ({ changes }: PlanOutput): string[] =>
  changes.flatMap(({ section, name, change, consequences }) => {
    const head = `${section === 'server' ? 'server' : `${section}.${name}`} ${change}`;
    if (consequences.length === 0) return [head];
    return consequences.map(({ level, text }) => `${head}: ${{ note: '', warning: '!', danger: '!!' }[level]}${text}`);
  });

describe('a plan', () => {
  it('finds no difference between a file and itself, however it is written', async () => {
    await inUse();
    const same = base.replace(
      '{ url: ./nas, password: { file: ./pw } }',
      '\n    url: ./nas # here\n    password:\n      file: ./pw',
    );
    expect(await planOf(same)).toMatchObject({ changes: [], warnings: 0, dangers: 0, inUse: { by: 'anna' } });
  });

  it('says of a source that moves where its snapshots stay', async () => {
    await snapshots('nas', 'notes', 31);
    await inUse();
    const output = await planOf(base.replace('repository: nas', 'repository: r2'));
    expect(lines(output)).toEqual([
      'sources.notes changed: !it moves from nas to r2: its 31 snapshots in nas stay where they are and are not removed; retention no longer applies there',
    ]);
    expect(output.changes[0].fields).toEqual([{ path: 'placements[0].repository', before: '"nas"', after: '"r2"' }]);
    expect(output).toMatchObject({ warnings: 1, counts: { added: 0, changed: 1, removed: 0 } });
  });

  it('says once for all sources of a policy what changes with it', async () => {
    await inUse();
    const output = await planOf(
      base
        .replace('0 2 * * *', '0 3 * * *')
        .replace('{ name: nas, keep: { daily: 14 } }', '{ name: r2 }')
        .replace('    drill: { schedule: "0 6 * * 0" }\n', ''),
    );
    expect(lines(output)).toEqual([
      'policies.nightly changed: 2 sources (shop, wiki): due at «0 3 * * *» instead of at «0 2 * * *»',
      'policies.nightly changed: !2 sources (shop, wiki): no drill by itself any more, proofs grow old',
      'policies.nightly changed: !2 sources (shop, wiki): from nas to r2; snapshots from before stay where they are and are not removed, retention no longer applies there',
    ]);
    expect(lines(await planOf(base.replace('daily: 14', 'daily: 7')))).toEqual([
      'policies.nightly changed: !2 sources (shop, wiki): in nas it keeps daily 7 instead of daily 14: the next «forget» removes what that leaves over',
    ]);
    expect(lines(await planOf(base.replace('daily: 14', 'daily: 14, weekly: all')))[0]).not.toContain('!');
  });

  it('says who has no schedule any more, and what is not backed up any more', async () => {
    await snapshots('nas', 'wiki', 1);
    await inUse();
    const without = base
      .replace(/policies:[\s\S]*?sources:/, 'sources:')
      .replace('[./shop], policy: nightly', '[./shop], repository: nas')
      .replace(/ {2}wiki:.*\n/, '');
    expect(lines(await planOf(without))).toEqual([
      'policies.nightly removed: !one source (shop) has no schedule any more',
      'sources.wiki removed: !it is not backed up any more; its one snapshot in nas stays where it is and is not removed',
      'sources.shop changed: !it has no schedule any more',
      'sources.shop changed: in nas everything is kept: no rule removes anything there any more',
    ]);
  });

  it('refuses to take another place under the same name for granted', async () => {
    await snapshots('nas', 'shop', 5);
    await inUse();
    const moved = base.replace('url: ./nas', 'url: ./elsewhere');
    const output = await planOf(moved);
    expect(output.dangers).toBe(1);
    expect(lines(output)[0]).toContain('repositories.nas changed: !!it is at another place: its 5 snapshots');
    await expect(apply.run({ init: false, acceptDangers: false }, await uses())).rejects.toMatchObject({
      code: 'request.conflict',
      message: expect.stringContaining('repositories.nas'),
    });
    for (const name of ['elsewhere', 'r2']) await initCheaply(join(folder, name), password);
    const applied = await apply.run({ init: true, acceptDangers: true }, await uses());
    expect(applied.repositories).toEqual([
      { name: 'nas', state: 'there' },
      { name: 'r2', state: 'there' },
    ]);
    expect((await planOf(moved)).changes).toEqual([]);
  });

  it('tells what happens to those who are told, to people and to the server', async () => {
    await inUse();
    const output = await planOf(
      `${base.replace(/notifications:[\s\S]*/, '')}server: { catalogue: other.db, listen: "127.0.0.1:1" }\nusers: { anna: { role: admin } }\n`,
    );
    expect(lines(output)).toEqual([
      'server changed: it counts when the server is started again: server.listen, server.catalogue',
      'server changed: !!another catalogue: runs, people, tokens and what was made over the API stay in the one before',
      'notifications.phone removed: !nobody is told of anything any more: it was the last',
      'users.anna added',
    ]);
    expect(output.restart).toEqual(['server.listen', 'server.catalogue']);
  });

  it('never shows a secret, neither one in the clear nor one in a URL or a command', async () => {
    const clear = base.replace('password: { file: ./pw } }\n  r2', 'password: hunter2hunter2 }\n  r2');
    writeFileSync(file, clear);
    await inUse();
    const row = await catalogue.db.selectFrom('configObject').selectAll().execute();
    expect(JSON.stringify(row)).not.toContain('hunter2');
    const other = clear
      .replace('hunter2hunter2', 'geheim-geheim-geheim')
      .replace('https://ntfy.example', 'https://me:geheim-geheim-geheim@ntfy.example');
    const output = await planOf(other).catch((error: Error) => error.message);
    expect(JSON.stringify(output)).not.toContain('geheim');
  });
});

describe('what is applied and exported', () => {
  it('is made, remembered, and taken for what is in use', async () => {
    expect((await planOf(base)).inUse).toBeUndefined();
    const missing = await apply.run({ init: false, acceptDangers: false }, await uses());
    expect(missing).toMatchObject({
      ok: false,
      server: 'none',
      repositories: [{ state: 'missing' }, { state: 'missing' }],
    });
    await initCheaply(join(folder, 'nas'), password);
    const made = await apply.run({ init: true, acceptDangers: false }, await uses());
    expect(made).toMatchObject({ ok: true, repositories: [{ state: 'there' }, { state: 'made' }] });
    const again = await apply.run({ init: true, acceptDangers: false }, await uses());
    expect(again).toMatchObject({ ok: true, changes: [], repositories: [{ state: 'there' }, { state: 'there' }] });
  });

  it('is taken by a server that runs, or refused with its reasons', async () => {
    const lease = { name: 'scheduler', holder: 'server', fence: 1, untilMs: Date.now() + 3_600_000 };
    await catalogue.db.insertInto('lease').values(lease).execute();
    for (const name of ['nas', 'r2']) await initCheaply(join(folder, name), password);
    const stop = new AbortController();
    const store = await ConfigStore.open({ ...(await uses()), file, known, log: createLog({ level: 'silent' }) });
    const following = store.follow(stop.signal);
    writeFileSync(file, base.replace('0 2 * * *', '0 4 * * *'));
    expect(await apply.run({ init: true, acceptDangers: false }, await uses())).toMatchObject({ server: 'taken' });
    expect(store.config.policies.get('nightly')?.schedule).toBe('0 4 * * *');
    await catalogue.db
      .insertInto('configObject')
      .values({
        section: 'sources',
        name: 'made',
        value: '{"driver":"files","paths":["/x"],"policy":"nightly"}',
        changedAtMs: 1,
        changedBy: 'anna',
      })
      .execute();
    await store.reload();
    writeFileSync(file, base.replaceAll('nightly', 'daily'));
    await expect(apply.run({ init: true, acceptDangers: false }, await uses())).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining('sources.made.policy names the policy «nightly»'),
    });
    stop.abort();
    await following;
  });

  it('comes back as it was: the export is valid, keeps comments, and a plan of it finds nothing to do', async () => {
    const objects = [
      { section: 'policies', name: 'weekly', value: { every: '7d', repositories: ['r2'] } },
      { section: 'sources', name: 'made', value: { driver: 'files', paths: ['/x'], policy: 'weekly' } },
      { section: 'hosts', name: 'box', value: { ssh: 'root@box', password: { stored: 'hosts.box.password' } } },
    ];
    const rows = objects.map((one) => ({
      ...one,
      value: JSON.stringify(one.value),
      changedAtMs: 1,
      changedBy: 'anna',
    }));
    await catalogue.db.insertInto('configObject').values(rows).execute();
    writeFileSync(file, base.replace('password: { file: ./pw } }\n  r2', 'password: hunter2hunter2 }\n  r2'));
    await inUse();
    const { text, added, replaced } = await exportConfiguration.run({}, await uses());
    expect(text).toContain('# Our backups');
    expect(text).toContain('# at night');
    expect(text).not.toContain('hunter2');
    expect(replaced).toEqual([
      { path: 'repositories.nas.password', by: '{ env: HOLDFAST_REPOSITORIES_NAS_PASSWORD }' },
    ]);
    expect(added.map((one) => `${one.from} ${one.section}.${one.name}`)).toEqual([
      'ui hosts.box',
      'ui policies.weekly',
      'ui sources.made',
    ]);
    expect([...parseConfig(file, Buffer.from(text), known).sources.keys()]).toEqual(['shop', 'wiki', 'notes', 'made']);
    await catalogue.db.deleteFrom('configObject').where('section', '!=', 'applied').execute();
    expect((await planOf(text)).changes).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});
