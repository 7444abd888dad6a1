/** Status says the same whether it asks the repositories or the catalogue; what only the catalogue knows comes on top. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { replaceRepository } from '../../src/catalogue/data/repository-content.ts';
import { saveChecked, saveSeen, saveUnseen } from '../../src/catalogue/data/repository-states.ts';
import { lastRuns } from '../../src/catalogue/last-runs.ts';
import type { Catalogue } from '../../src/catalogue/open.ts';
import { claimRun, finishRun, insertMissedRun, insertRun } from '../../src/catalogue/runs.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import type { Role } from '../../src/model/principal.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { loadConfig } from '../../src/operations/configuration/configuration.ts';
import { renderMetrics } from '../../src/operations/metrics/render.ts';
import type { Execution, SourceAccess } from '../../src/operations/operation.ts';
import { openNamed } from '../../src/operations/repositories/repository-access.ts';
import { type StatusOutput, status } from '../../src/operations/status/status.ts';
import { listPins, listProofs, listSnapshots } from '../../src/repository/index.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { Trial } from '../e2e/trial.ts';
import { promtool } from '../servers/promtool.ts';
import { type CataloguePlace, cataloguePlaces } from '../support/catalogues.ts';

let trial: Trial;
let uses: SourceAccess & Execution;

beforeAll(async () => {
  trial = new Trial();
  trial.sqlite('app.db', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)');
  trial.sqlite('other.db', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)');
  trial.write('password', 'pw');
  trial.write(
    'holdfast.yaml',
    [
      'repositories:',
      '  nas: { url: ./nas, password: { file: ./password } }',
      '  second: { url: ./second, password: { file: ./password } }',
      '  gone: { url: ./gone, password: { file: ./password } }',
      'policies: { hourly: { schedule: "0 * * * *", repositories: [{ name: nas, keep: { last: 9 } }, { name: second }] } }',
      'sources:',
      '  app: { driver: sqlite, path: ./app.db, policy: hourly }',
      '  other: { driver: sqlite, path: ./other.db, repository: [second, gone] }',
      '  never: { driver: files, paths: [/nowhere], policy: hourly }',
    ].join('\n'),
  );
  for (const name of ['nas', 'second']) await trial.ok('repo', 'init', name);
  await trial.ok('backup', 'app');
  for (const value of [2, 3, 4]) {
    trial.sqlite('app.db', `INSERT INTO t VALUES (${value})`);
    await trial.ok('backup', 'app', '--repository', 'nas');
  }
  await trial.ok('backup', 'other', '--repository', 'second');
  await trial.ok('drill', 'app', '--repository', 'nas');
  const host = localHost();
  uses = {
    config: await loadConfig(trial.path('holdfast.yaml'), { drivers, storageKinds, hostKinds, channelKinds }),
    ...{ drivers, storageKinds, hostKinds, channelKinds, clock: systemClock, signal: new AbortController().signal },
    env: { ...trial.env, HOLDFAST_CACHE: 'off' },
    localHost: () => host,
    openContainers: async () => undefined,
    report: () => undefined,
  } as SourceAccess & Execution;
}, 120_000);

afterAll(() => trial.dispose());

/** Ages and messages move with the clock, and what only one of the two knows is left out. */
function comparable({ ok, sources, repositories, elsewhere }: StatusOutput): unknown {
  const rounded = sources.map(({ runs: _, newest, proof, copies, concerns, ...rest }) => ({
    ...rest,
    newest: newest?.id,
    proof: proof?.snapshot,
    behind: copies?.behind,
    concerns: concerns.map((one) => [one.kind, one.kind === 'repository-unreachable' ? '' : one.remedy]),
  }));
  return { ok, rounded, repositories: repositories.map(({ name, ok: fine, state }) => [name, fine, state]), elsewhere };
}

async function fill(catalogue: Catalogue): Promise<void> {
  for (const name of ['nas', 'second']) {
    await using opened = await openNamed(name, uses);
    const { repository } = opened;
    const [snapshots, proofs, pins] = await Promise.all([
      listSnapshots(repository),
      listProofs(repository),
      listPins(repository),
    ]);
    await replaceRepository(catalogue, name, { snapshots, proofs, pins });
    await saveSeen(catalogue, { repository: name, id: repository.config.id, atMs: Date.now() });
  }
  await saveUnseen(catalogue, { repository: 'gone', code: 'repository.missing', message: 'it is gone' });
}

describe.each(cataloguePlaces.slice(0, 2))('with a catalogue in $title', ({ make }) => {
  let place: CataloguePlace;
  let catalogue: Catalogue;
  beforeAll(async () => {
    place = await make();
    catalogue = await place.open();
  });
  afterAll(async () => await place?.[Symbol.asyncDispose]());

  const ended = async (kind: 'backup' | 'drill', state: 'succeeded' | 'failed'): Promise<string> => {
    const { id } = await insertRun(catalogue, { kind, source: 'app', host: 'local', trigger: 'manual', askedBy: 'x' });
    const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
    const error = { code: 'source.busy', message: 'it was locked', remedy: 'wait' };
    const outcome = state === 'failed' ? ({ state, error } as const) : ({ state, bytes: 100, addedBytes: 7 } as const);
    await finishRun(catalogue, { id, fence, outcome, events: [{ type: `${kind}.${state}`, title: 'ended', run: id }] });
    return id;
  };

  test('a repository nobody read yet is not safe', async () => {
    const state = await status.run({}, { ...uses, catalogue });
    expect(state.repositories.map((one) => one.state)).toEqual(['unreachable', 'unreachable', 'unreachable']);
    expect(state.ok).toBe(false);
  });

  test('it says what the repositories say', async () => {
    await fill(catalogue);
    const asked = comparable(await status.run({}, uses));
    expect(comparable(await status.run({}, { ...uses, catalogue }))).toEqual(asked);
    expect(asked).toMatchObject({ ok: false });
    const { sources } = await status.run({}, { ...uses, catalogue });
    expect(sources.find((one) => one.source === 'app' && one.repository === 'second')?.copies?.behind).toBe(3);
  });

  test('who may see some sources is told of those, and lists may be short while counts are not', async () => {
    const principal = {
      kind: 'token',
      name: 't',
      roles: new Map<string, Role>([['*', 'viewer']]),
      sources: new Set(['other']),
    } as const;
    const seen = await status.run({}, { ...uses, catalogue, principal });
    expect(new Set(seen.sources.map((one) => one.source))).toEqual(new Set(['other']));
    expect(seen.counts).toMatchObject({ states: 2 });
    const short = await status.run({ only: 'concerns', limit: 1 }, { ...uses, catalogue });
    const all = await status.run({ only: 'concerns' }, { ...uses, catalogue });
    expect([short.sources.length, short.counts, short.repositories]).toEqual([1, all.counts, all.repositories]);
    expect(all.counts?.concerns).toBe(all.sources.length);
  });

  test('the last run of each kind is known, also when it ended since the last look, and one that failed is a concern', async () => {
    await ended('backup', 'succeeded');
    expect((await lastRuns(catalogue)).ofKind.get('app')?.get('backup')).toMatchObject({
      state: 'succeeded',
      bytes: 100,
    });
    const failed = await ended('backup', 'failed');
    const slotMs = Date.now();
    const due = {
      kind: 'drill',
      source: 'app',
      host: 'local',
      trigger: 'schedule',
      askedBy: 'schedule',
      slotMs,
    } as const;
    await insertMissedRun(catalogue, { ...due, slotKey: randomBytes(4).toString('hex'), reason: 'nothing ran' });
    const waiting = await insertRun(catalogue, {
      kind: 'backup',
      source: 'app',
      host: 'local',
      trigger: 'manual',
      askedBy: 'x',
    });
    await claimRun(catalogue, { id: waiting.id, worker: 'w', leaseMs: 60_000 });
    const { sources } = await status.run({}, { ...uses, catalogue });
    const first = sources.find((one) => one.source === 'app' && one.repository === 'nas')!;
    expect(first.concerns.map((one) => one.kind)).toEqual(expect.arrayContaining(['backup-failed', 'drill-missed']));
    expect(first.concerns.find((one) => one.kind === 'backup-failed')?.message).toContain('it was locked');
    expect(first.runs).toContainEqual(
      expect.objectContaining({ run: failed, state: 'failed', message: 'it was locked' }),
    );
    expect(first.runs).toContainEqual(expect.objectContaining({ run: waiting.id, state: 'running' }));
    const again = sources.find((one) => one.source === 'app' && one.repository === 'second')!;
    expect(again.concerns.map((one) => one.kind)).not.toContain('backup-failed');
  });

  test('metrics come from it, and promtool has no complaint', async () => {
    await saveChecked(catalogue, { repository: 'nas', atMs: Date.now(), ok: false });
    const text = await renderMetrics({ ...uses, catalogue });
    expect(await promtool(['check', 'metrics'], { input: text })).toEqual({ status: 0, output: '' });
    expect(text).toMatch(/^holdfast_source_last_run_success\{source="app",kind="backup",repository=""\} 0$/m);
    expect(text).toMatch(/^holdfast_recent_runs\{kind="backup",state="succeeded"\} 1$/m);
    expect(text).toMatch(/^holdfast_source_copies_behind\{source="app",repository="second"\} 3$/m);
    expect(text).toMatch(/^holdfast_repository_last_check_success\{repository="nas"\} 0$/m);
    expect(text).toMatch(/^holdfast_runs_running 1$/m);
  });
});
