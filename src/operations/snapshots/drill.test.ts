import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import type { RunRecord } from '../../model/run-record.ts';
import { storageKinds } from '../../storage/registry.ts';
import { backup } from '../backup/backup.ts';
import { executeWith } from '../runs/execute-run.ts';
import { status } from '../status/status.ts';
import { drill } from './drill.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-drill-all-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const host = localHost();
const notThere = expect.stringMatching(/^(repository\.missing|storage\.not-found)$/) as string;

function usesOf(repositories: string) {
  const known = { drivers: [filesDriver], storageKinds, hostKinds, channelKinds: [] };
  const text = `
repositories:
  nas: { url: ${folder}/nas, password: { env: PW } }
  far: { url: ${folder}/far, password: { env: PW } }
  tape: { url: ${folder}/tape, password: { env: PW } }
  usb: { url: ${folder}/usb, password: { env: PW }, mayBeAway: 14d }
policies: { nightly: { schedule: "0 2 * * *", repositories: ${repositories}, drill: { schedule: "0 5 * * *" } } }
sources: { notes: { driver: files, paths: [${folder}/notes.txt], policy: nightly } }
`;
  const { signal } = new AbortController();
  return {
    ...known,
    config: parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), known),
    env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    ...{ localHost: () => host, openContainers: async () => undefined, clock: systemClock, signal },
    report: () => undefined,
  };
}

const three = usesOf('[nas, far, { name: tape, drill: false }]');
const withDisk = usesOf('[nas, usb]');

beforeAll(async () => {
  writeFileSync(join(folder, 'notes.txt'), 'a note');
  for (const name of ['nas', 'far', 'tape']) await initCheaply(join(folder, name), 'pw');
  expect(await backup.run(backup.input.parse({ all: true }), three)).toMatchObject({ ok: true });
});

const concerns = async () =>
  (await status.run({}, three)).sources
    .filter(({ source }) => source === 'notes')
    .map(({ repository, concerns: own }) => [repository, own.map(({ kind }) => kind)]);

test('drill --all proves what is in each repository, and then nothing is a concern any more', async () => {
  expect(await concerns()).toEqual([
    ['nas', ['never-proven']],
    ['far', ['never-proven']],
    ['tape', []],
  ]);
  const { ok, results } = await drill.run(drill.input.parse({ all: true }), three);
  expect(ok).toBe(true);
  expect(results.map(({ repository, proof }) => [repository, proof?.verdict])).toEqual([
    ['nas', 'passed'],
    ['far', 'passed'],
  ]);
  expect(await status.run({}, three)).toMatchObject({ counts: { states: 3, concerns: 0 } });
});

test('one that is named is drilled once, or where it was asked for', async () => {
  const once = await drill.run(drill.input.parse({ targets: ['notes'] }), three);
  expect(once.results.map(({ repository }) => repository)).toEqual(['nas']);
  const there = await drill.run(drill.input.parse({ policy: 'nightly', repository: 'tape' }), three);
  expect(there.results.map(({ repository }) => repository)).toEqual(['tape']);
});

test('a disk that may be away is left out by --all, and is a fault where it was named', async () => {
  const all = await drill.run(drill.input.parse({ all: true }), withDisk);
  expect(all).toMatchObject({ ok: true, results: [{ repository: 'nas' }, { repository: 'usb', ok: true }] });
  expect(all.results[1].away).toBeDefined();
  const named = await drill.run(drill.input.parse({ targets: ['notes'], repository: 'usb' }), withDisk);
  expect(named).toMatchObject({ ok: false, results: [{ repository: 'usb', error: { code: notThere } }] });
});

function runOf(about: Partial<RunRecord>): RunRecord {
  return {
    ...{ id: 'r', kind: 'drill', source: 'notes', host: 'local', notBeforeMs: 0, queuedAtMs: 0, input: {} },
    ...{ trigger: 'manual', state: 'running', attempt: 1, askedBy: 'x', cancelRequested: false },
    ...about,
  };
}

test('a run that names no repository says which one was read, also where what is in it cannot be read', async () => {
  const perform = executeWith(() => three);
  expect(await perform(runOf({}), three)).toMatchObject({ ok: true, repository: 'nas' });
  const data = join(folder, 'nas', 'data');
  renameSync(data, `${data}-elsewhere`);
  try {
    expect(await perform(runOf({}), three)).toMatchObject({ ok: false, repository: 'nas' });
  } finally {
    renameSync(`${data}-elsewhere`, data);
  }
});

test('of all that are drilled at a server, too, a disk that is away is left out, with the result that says so', async () => {
  const run = runOf({ repository: 'usb', input: { mayBeAway: true } });
  const { leftOut, result } = await executeWith(() => withDisk)(run, withDisk);
  expect(leftOut).toMatchObject({ code: notThere });
  expect(drill.output.parse(result)).toMatchObject({ ok: true, results: [{ target: 'notes', repository: 'usb' }] });
});

test.each([{}, { snapshot: 'random' }])(
  'a scheduled drill of a disk that is away is neither a success nor a failure: %o',
  async (input) => {
    const run = runOf({ repository: 'usb', trigger: 'schedule', slotMs: 1, input });
    const perform = executeWith(() => withDisk);
    const performed = await perform(run, withDisk);
    expect(performed).toMatchObject({ ok: false, leftOut: { code: notThere } });
    const { slotMs: _, ...asked } = run;
    const ending = await perform(asked, withDisk).then(
      ({ error }) => error?.code,
      (error: { code: string }) => error.code,
    );
    expect(ending).toEqual(notThere);
  },
);
