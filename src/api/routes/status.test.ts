/** The status in pages, and that it tells what is not safe as soon as it is not: whatever made it so. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { proofOf, snapshotOf } from '../../../test/support/catalogue-content.ts';
import { systemClock } from '../../base/clock.ts';
import { replaceRepository } from '../../catalogue/data/repository-content.ts';
import { saveSeen, saveUnseen } from '../../catalogue/data/repository-states.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { claimRun, finishRun, insertMissedRun, insertRun } from '../../catalogue/runs.ts';
import { parseConfig } from '../../config/index.ts';
import { drivers } from '../../drivers/registry.ts';
import { hostKinds } from '../../hosts/registry.ts';
import type { Principal } from '../../model/principal.ts';
import type { StatusOutput } from '../../operations/status/status.ts';
import { storageKinds } from '../../storage/registry.ts';
import type { Call } from '../route.ts';
import { statusRoutes } from './status.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-status-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hourMs = 3_600_000;
const names = ['e', 'd', 'c', 'b', 'a'];
const anna: Principal = { kind: 'user', name: 'anna', roles: new Map([['*', 'viewer']]) };

/** A backup every so many hours; of `a` into another repository, too. */
function configured(hours: number, sources = names) {
  const text = [
    'repositories: { nas: { url: /nas, password: { env: PW } }, r2: { url: /r2, password: { env: PW } } }',
    `policies: { often: { every: ${hours}h, repositories: [nas] } }`,
    'sources:',
    ...sources.map((name) => `  ${name}: { driver: files, paths: [/srv/${name}], policy: often }`),
    '  twice: { driver: files, paths: [/srv/twice], repository: [nas, r2] }',
  ].join('\n');
  return parseConfig('/etc/holdfast.yaml', Buffer.from(text), {
    ...{ drivers, storageKinds, hostKinds, channelKinds: [] },
  });
}

let catalogue: Catalogue;
let nowMs: number;
let config: ReturnType<typeof configured>;

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  config = configured(24);
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  await fill(['nas', 'r2']);
  return async () => await catalogue[Symbol.asyncDispose]();
});

async function fill(repositories: readonly string[], { without, failed }: { without?: string; failed?: string } = {}) {
  const snapshots = [...names, 'twice']
    .filter((one) => one !== without)
    .map((name) => snapshotOf(name, nowMs - hourMs));
  const proofs = snapshots.map((one) => {
    const source = one.paths[0].slice('/srv/'.length);
    return proofOf(one, source, nowMs - hourMs / 2, source !== failed);
  });
  for (const name of repositories) {
    await replaceRepository(catalogue, name, { snapshots, proofs, pins: new Set() });
    await saveSeen(catalogue, { repository: name, id: name, atMs: nowMs });
  }
}

async function ask(query: object = {}, principal = anna): Promise<StatusOutput> {
  const [route] = statusRoutes;
  const uses = {
    ...{ config, catalogue, principal, signal: new AbortController().signal, report: () => undefined },
    clock: { ...systemClock, nowMs: () => nowMs },
    env: { HOLDFAST_STATE: folder },
  };
  return (await route.run(route.query.parse(query), { uses } as unknown as Call)) as StatusOutput;
}

async function concerns(): Promise<Record<string, string[]>> {
  const { ok, counts, sources } = await ask({ only: 'concerns' });
  expect([ok, counts?.concerns]).toEqual([sources.length === 0, sources.length]);
  // What is counted is what is shown: a verdict that was kept is the one that would be given now.
  const described = (await ask({ limit: 1000 })).sources.filter((one) => one.concerns.length > 0 || !one.ok);
  expect(described).toEqual(sources);
  return Object.fromEntries(
    sources.map((one) => [`${one.source} ${one.repository}`, one.concerns.map(({ kind }) => kind)]),
  );
}

async function ended(source: string, state: 'succeeded' | 'failed'): Promise<void> {
  const { id } = await insertRun(catalogue, { kind: 'backup', source, host: 'h', trigger: 'manual', askedBy: 'x' });
  const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 60_000 }))!;
  const error = { code: 'source.busy', message: 'it was locked', remedy: 'wait' };
  const outcome = state === 'failed' ? ({ state, error } as const) : ({ state } as const);
  await finishRun(catalogue, { id, fence, outcome, events: [{ type: `backup.${state}`, title: 'ended', run: id }] });
}

test('pages hold every source once, as declared, and each says how it stands with all of them', async () => {
  await ended('a', 'failed');
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await ask({ limit: 2, cursor });
    expect([page.ok, page.counts]).toEqual([false, { states: 7, concerns: 1, sources: 6, unsafeSources: 1 }]);
    expect(page.sources.length).toBeLessThanOrEqual(2);
    found.push(...page.sources.map((one) => `${one.source} ${one.repository}`));
    cursor = page.next;
  } while (cursor !== undefined);
  expect(found).toEqual(['e nas', 'd nas', 'c nas', 'b nas', 'a nas', 'twice nas', 'twice r2']);
  expect(await ask({ limit: 7 })).not.toHaveProperty('next');
  const wrong = await ask({ only: 'concerns', limit: 1 });
  expect([wrong.sources.map((one) => one.source), wrong.next]).toEqual([['a'], undefined]);
});

test('who may see some sources is told whether those are safe, also on a page that shows only safe ones', async () => {
  await ended('a', 'failed');
  const held: Principal = { ...anna, kind: 'token', sources: new Set(['e', 'a']) };
  const page = await ask({ limit: 1 }, held);
  expect([page.ok, page.counts, page.sources[0].ok]).toEqual([
    false,
    { states: 2, concerns: 1, sources: 2, unsafeSources: 1 },
    true,
  ]);
  expect((await ask({}, { ...held, sources: new Set(['e']) })).ok).toBe(true);
  await expect(ask({ cursor: 'd/nas' }, held)).rejects.toMatchObject({ code: 'request.invalid' });
});

test('a list whose last source is not declared any more has to be begun again: nothing is left out', async () => {
  const { next } = await ask({ limit: 2 });
  config = configured(24, ['c', 'b', 'a']);
  await expect(ask({ limit: 2, cursor: next })).rejects.toMatchObject({ code: 'request.invalid' });
});

test('everything is safe until time goes by', async () => {
  expect(await concerns()).toEqual({});
  nowMs += 47 * hourMs;
  expect(await concerns()).toEqual({ 'twice nas': ['snapshot-old'], 'twice r2': ['snapshot-old'] });
  nowMs += hourMs;
  expect(Object.keys(await concerns())).toHaveLength(7);
  nowMs += 10 * 24 * hourMs;
  expect((await concerns())['a nas']).toEqual(['snapshot-old', 'proof-old']);
});

test('a run that fails or is missed is told at once, and again when one after it went well', async () => {
  expect(await concerns()).toEqual({});
  await ended('b', 'failed');
  expect(await concerns()).toEqual({ 'b nas': ['backup-failed'] });
  nowMs += 1;
  await ended('b', 'succeeded');
  expect(await concerns()).toEqual({});
  const due = { kind: 'drill', source: 'c', host: 'h', trigger: 'schedule', askedBy: 'schedule' } as const;
  await insertMissedRun(catalogue, { ...due, slotMs: nowMs, slotKey: 'c', reason: 'nothing ran' });
  expect(await concerns()).toEqual({ 'c nas': ['drill-missed'] });
});

test('a snapshot that is forgotten, a drill that fails and a repository that is gone are told at once', async () => {
  expect(await concerns()).toEqual({});
  await fill(['nas'], { without: 'd' });
  expect(await concerns()).toEqual({ 'd nas': ['never-backed-up'] });
  await fill(['nas'], { failed: 'e' });
  expect(await concerns()).toEqual({ 'e nas': ['proof-failed'] });
  await fill(['nas']);
  expect(await concerns()).toEqual({});
  await saveUnseen(catalogue, { repository: 'r2', code: 'storage.unreachable', message: 'no answer' });
  expect(await concerns()).toEqual({ 'twice r2': ['repository-unreachable'] });
});

test('a configuration that wants more counts from the next question on', async () => {
  nowMs += 10 * hourMs;
  expect(await concerns()).toEqual({});
  config = configured(3);
  expect((await concerns())['a nas']).toEqual(['snapshot-old']);
  config = configured(24, [...names, 'new']);
  expect(await concerns()).toEqual({ 'new nas': ['never-backed-up'] });
});
