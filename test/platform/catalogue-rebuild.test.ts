/** The catalogue is lost, and made anew from the repositories; refreshed after runs; read by the command line. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { knownRepositories } from '../../src/catalogue/data/repository-states.ts';
import { growthByDay } from '../../src/catalogue/data/sizes.ts';
import { listKnownProofs, listKnownSnapshots } from '../../src/catalogue/data/snapshots.ts';
import { knownSources } from '../../src/catalogue/data/summary.ts';
import { type Catalogue, type CatalogueAddress, openCatalogue } from '../../src/catalogue/open.ts';
import { appendLog } from '../../src/catalogue/run-log.ts';
import { claimRun, finishRun, insertRun } from '../../src/catalogue/runs.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { silent } from '../../src/model/run.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { refreshAfter, refreshRepository } from '../../src/operations/catalogue/refresh-repository.ts';
import { loadConfig } from '../../src/operations/configuration/configuration.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { Trial } from '../e2e/trial.ts';
import { type CataloguePlace, makePostgresPlace, makeSqlitePlace } from '../support/catalogues.ts';
import { initCheaply } from '../support/cheap-repository.ts';

const places = [
  { title: 'SQLite', make: makeSqlitePlace },
  { title: 'PostgreSQL', make: makePostgresPlace },
];

describe.each(places)('a catalogue in $title', ({ title, make }) => {
  const trial = new Trial();
  let place: CataloguePlace;
  let catalogue: Catalogue;
  let address: CatalogueAddress;
  const configure = (repositories: string[]): void => {
    const password = { file: './home/password' };
    const config = {
      server: { catalogue: address.kind === 'sqlite' ? address.path : { postgres: address.url } },
      repositories: Object.fromEntries(repositories.map((name) => [name, { url: `./${name}`, password }])),
      policies: {
        nightly: { schedule: '0 2 * * *', repositories: ['nas', 'r2'].filter((one) => repositories.includes(one)) },
      },
      sources: { docs: { driver: 'files', paths: ['./docs'], policy: 'nightly' } },
    };
    trial.write('holdfast.yaml', JSON.stringify(config));
  };
  const usesOf = async () => {
    const config = await loadConfig(trial.path('holdfast.yaml'), { drivers, storageKinds, hostKinds, channelKinds });
    const { signal } = new AbortController();
    return { config, storageKinds, env: trial.env, localHost, clock: systemClock, signal, report: silent };
  };
  const everything = async () => {
    const [sources, snapshots, proofs, states] = await Promise.all([
      knownSources(catalogue),
      listKnownSnapshots(catalogue, {}, { limit: 100 }),
      listKnownProofs(catalogue, {}, { limit: 100 }),
      knownRepositories(catalogue),
    ]);
    return { sources, snapshots, proofs, states: states.map(({ seenAtMs, ...rest }) => rest) };
  };

  beforeAll(async () => {
    place = await make();
    address = await place.address();
    trial.write('home/password', 'a password');
    trial.write('docs/file', 'text\n');
    for (const name of ['nas', 'r2']) await initCheaply(trial.path(name), 'a password');
    configure(['nas', 'r2']);
    catalogue = await place.open(address);
  });
  afterAll(async () => {
    await place?.[Symbol.asyncDispose]();
    trial.dispose();
  });

  test('what a run stored is known after it, and what was removed is not', async () => {
    await trial.ok('backup', 'docs');
    await trial.ok('drill', 'docs');
    const uses = await usesOf();
    const run = await insertRun(catalogue, {
      kind: 'backup',
      source: 'docs',
      host: 'local',
      trigger: 'manual',
      askedBy: 'test',
    });
    expect((await refreshAfter(catalogue, run, uses)).map((one) => one.repository)).toEqual(['nas', 'r2']);
    expect(await knownSources(catalogue)).toMatchObject([
      { source: 'docs', repository: 'nas', snapshots: 1, lastProof: { verdict: 'passed' } },
      { source: 'docs', repository: 'r2', snapshots: 1 },
    ]);
    const first = (await listKnownSnapshots(catalogue, { repository: 'nas', source: 'docs' }, { limit: 1 }))
      .snapshots[0];
    trial.write('docs/file', 'more\n');
    await trial.ok('backup', 'docs');
    await trial.ok('pin', first.snapshot.id);
    await refreshRepository(catalogue, 'nas', uses);
    expect(await knownSources(catalogue, { repository: 'nas' })).toMatchObject([{ snapshots: 2 }]);
    const pins = (await listKnownSnapshots(catalogue, { repository: 'nas', source: 'docs' }, { limit: 9 })).snapshots;
    expect(pins.map((one) => one.pinned)).toEqual([false, true]);
    await trial.ok('unpin', first.snapshot.id);
    rmSync(trial.path('nas/snapshots', first.snapshot.id));
    await refreshRepository(catalogue, 'nas', uses);
    expect(await knownSources(catalogue, { repository: 'nas' })).toMatchObject([
      { snapshots: 1, lastProof: { verdict: 'passed' } },
    ]);
    expect(await growthByDay(catalogue, { repository: 'nas', sinceMs: 0 })).toMatchObject([{ repository: 'nas' }]);
  });

  test('lost and rebuilt, it gives the same answers', async () => {
    await trial.ok('catalogue', 'rebuild');
    const before = await everything();
    expect(before.snapshots.snapshots.length).toBeGreaterThanOrEqual(3);
    await catalogue[Symbol.asyncDispose]();
    if (address.kind === 'sqlite')
      for (const end of ['', '-wal', '-shm']) rmSync(`${address.path}${end}`, { force: true });
    else address = await place.address();
    configure(['nas', 'r2']);
    expect(await trial.ok('catalogue', 'rebuild')).toMatch(/nas: \d+ snapshots/);
    catalogue = await openCatalogue(address, Date.now);
    expect(await everything()).toEqual(before);
  });

  test('a repository that cannot be read keeps what was known of it, and the rebuild has failed', async () => {
    const before = await knownSources(catalogue);
    execFileSync('mv', [trial.path('r2'), trial.path('away')]);
    const { status, stdout } = await trial.run(['--json', 'catalogue', 'rebuild']);
    expect([status, JSON.parse(stdout)]).toMatchObject([
      1,
      { ok: false, repositories: [{ name: 'nas' }, { name: 'r2', error: {} }] },
    ]);
    expect(await knownSources(catalogue)).toEqual(before);
    expect((await knownRepositories(catalogue)).find((one) => one.repository === 'r2')?.error).toBeDefined();
    configure(['nas']);
    expect(await trial.json('catalogue', 'rebuild')).toMatchObject({ ok: true, forgotten: ['r2'] });
    expect((await knownSources(catalogue)).map((one) => one.repository)).toEqual(['nas']);
  });

  // The same statements are tested on both; the command line needs one.
  test.runIf(title === 'SQLite')('runs are listed, shown, followed and cancelled on the command line', async () => {
    const run = {
      kind: 'backup',
      source: 'docs',
      repository: 'nas',
      host: 'local',
      trigger: 'manual',
      askedBy: 'anna',
    } as const;
    const first = await insertRun(catalogue, run);
    const { fence } = (await claimRun(catalogue, { id: first.id, worker: 'w', leaseMs: 60_000 }))!;
    await appendLog(catalogue, { id: first.id, fence }, [{ atMs: 1, event: { type: 'note', message: 'half of it' } }]);
    const following = trial.run(['runs', 'log', first.id.slice(0, 25), '--follow']);
    const second = await insertRun(catalogue, run);
    expect(await trial.json('runs', 'cancel', second.id)).toMatchObject({ outcome: 'cancelled' });
    expect((await trial.run(['--json', 'runs', 'cancel', second.id])).stdout).toContain('run.ended');
    const outcome = { state: 'failed', error: { code: 'storage.full', message: 'no space', remedy: 'Buy.' } } as const;
    await finishRun(catalogue, {
      id: first.id,
      fence,
      outcome,
      events: [{ type: 'backup.failed', title: 'the backup failed' }],
    });
    const followed = await following;
    expect([followed.status, followed.stdout]).toEqual([1, expect.stringContaining('half of it')]);
    expect(await trial.ok('runs', 'show', first.id)).toContain('no space (storage.full)');
    expect(await trial.json('runs', 'list', '--state', 'failed', 'cancelled', '--limit', '1')).toMatchObject({
      runs: [{ id: second.id }],
      next: second.id,
    });
    expect((await trial.run(['runs', 'show', 'NOTHING'])).stderr).toContain('there is no run «NOTHING»');
    expect((await trial.run(['runs', 'list', '--state', 'odd'])).status).toBe(2);
    expect(await trial.ok('events', '--severity', 'error')).toContain('the backup failed');
  });
});
