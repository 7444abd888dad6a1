import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import type { RunEvent } from '../../model/run.ts';
import { storageKinds } from '../../storage/registry.ts';
import { backup } from '../backup/backup.ts';
import { runbook } from '../runbook/runbook.ts';
import { diff } from './diff.ts';
import { drill } from './drill.ts';
import { find, type Match } from './find.ts';
import { ls } from './ls.ts';
import { openSnapshot } from './snapshot-access.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-newest-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const host = localHost();
const file = join(folder, 'note.txt');
let warnings: string[] = [];

const known = { drivers: [filesDriver], storageKinds, hostKinds, channelKinds: [] };
const text = `
repositories:
  a: { url: ${folder}/a, password: { env: PW } }
  b: { url: ${folder}/b, password: { env: PW } }
policies: { nightly: { repositories: [a, b] } }
sources: { s: { driver: files, paths: [${file}], policy: nightly } }
`;
const uses = {
  ...known,
  config: parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), known),
  env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
  ...{ localHost: () => host, openContainers: async () => undefined, clock: systemClock },
  signal: new AbortController().signal,
  report: (event: RunEvent) => {
    if (event.type === 'warning') warnings.push(event.message);
  },
};
let first: string;
let between: string;

/** `a` has what was backed up first; then it was away, and `b` got the next one, too. */
beforeAll(async () => {
  for (const name of ['a', 'b']) await initCheaply(join(folder, name), 'pw');
  const once = async (content: string): Promise<void> => {
    writeFileSync(file, content);
    await backup.run(backup.input.parse({ all: true }), uses);
  };
  await once('one');
  first = (await named('s')).id;
  between = new Date().toISOString();
  renameSync(join(folder, 'a'), join(folder, 'away'));
  await once('two, which is longer');
  renameSync(join(folder, 'away'), join(folder, 'a'));
});

async function named(wanted: string, repository?: string) {
  warnings = [];
  await using found = await openSnapshot(wanted, repository, uses);
  return { id: found.snapshot.id, where: found.opened.name };
}

test('a source means its newest snapshot, in whichever repository that is; of equals the first', async () => {
  for (const wanted of ['s', 's@latest', 's@2199-01-01T00:00Z', 'latest']) {
    expect(await named(wanted), wanted).toMatchObject({ where: 'b' });
  }
  expect(await named(`s@${between}`)).toEqual({ id: first, where: 'a' });
  expect(await named('s', 'a')).toEqual({ id: first, where: 'a' });
  expect(await named(first)).toEqual({ id: first, where: 'a' });
  expect(warnings).toEqual([]);
});

test('what cannot be looked into is named, and that it may hold a newer one', async () => {
  renameSync(join(folder, 'b'), join(folder, 'away'));
  try {
    expect(await named('s')).toEqual({ id: first, where: 'a' });
    expect(warnings).toEqual([expect.stringMatching(/^repository b: .*in a is taken, and b may hold a newer one$/)]);
  } finally {
    renameSync(join(folder, 'away'), join(folder, 'b'));
  }
});

test('a time before all snapshots, and one that is none, are said to be that', async () => {
  await expect(named('s@2001-01-01T00:00Z')).rejects.toMatchObject({ code: 'snapshot.unknown' });
  await expect(named('s@yesterday')).rejects.toMatchObject({ code: 'usage.invalid' });
});

test('ls, find, diff, runbook and drill mean the same one', async () => {
  const seen: string[] = [];
  const emitting = { ...uses, emit: async (one: Match) => void seen.push(one.repository) };
  await find.run(find.input.parse({ patterns: ['note.txt'], snapshot: 's' }), emitting);
  expect(seen).toEqual(['b']);
  const newest = (await named('s')).id;
  expect(await ls.run(ls.input.parse({ snapshot: 's' }), { ...uses, emit: async () => {} })).toMatchObject({
    snapshot: newest,
  });
  const compared = await diff.run(diff.input.parse({ before: `s@${between}`, after: 's' }), {
    ...uses,
    emit: async () => {},
  });
  expect(compared).toMatchObject({ after: newest, changed: 1 });
  const page = await runbook.run(runbook.input.parse({ sources: ['s'] }), uses);
  expect(JSON.stringify(page)).toContain(newest);
  const { results } = await drill.run(drill.input.parse({ targets: ['s'] }), uses);
  expect(results).toMatchObject([{ repository: 'b', proof: { snapshot: newest } }]);
});
