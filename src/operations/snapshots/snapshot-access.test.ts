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
import { openSnapshot, openTogether } from './snapshot-access.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-newest-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const host = localHost();
const file = join(folder, 'note.txt');
const other = join(folder, 'other.txt');
let warnings: string[] = [];
let notes: string[] = [];

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
    if (event.type === 'note') notes.push(event.message);
  },
};
/** The same place, declared so: `b` is a disk that may be away, `c` has an address that is none, and `b` holds a second source. */
const more = `
repositories:
  c: { url: "sftp://user:geheim@nas/srv", password: { env: PW } }
  a: { url: ${folder}/a, password: { env: PW } }
  b: { url: ${folder}/b, password: { env: PW }, mayBeAway: 30d }
sources:
  s: { driver: files, paths: [${file}], repository: [a, b] }
  t: { driver: files, paths: [${file}], repository: [c, a] }
  other: { driver: files, paths: [${other}], repository: b }
`;
const moreUses = { ...uses, config: parseConfig(join(folder, 'more.yaml'), Buffer.from(more), known) };
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

async function named(wanted: string, repository?: string, by = uses) {
  warnings = [];
  notes = [];
  await using found = await openSnapshot(wanted, repository, by);
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

/** While it is away. */
async function without<T>(repository: string, use: () => Promise<T>): Promise<T> {
  renameSync(join(folder, repository), join(folder, 'away'));
  try {
    return await use();
  } finally {
    renameSync(join(folder, 'away'), join(folder, repository));
  }
}

test('a repository whose address is wrong keeps nobody from what another one holds', async () => {
  const stored = { sources: ['t'], repository: 'a' };
  await backup.run(backup.input.parse(stored), moreUses);
  const { id } = await named('t', 'a', moreUses);
  for (const wanted of ['t', 't@latest', id]) {
    expect(await named(wanted, undefined, moreUses), wanted).toEqual({ id, where: 'a' });
  }
  expect(warnings).toEqual([expect.stringMatching(/^repository c: the sftp URL has a password in it/)]);
  await expect(named('t', 'c', moreUses)).rejects.toMatchObject({ code: 'usage.invalid' });
});

test('what is said of a repository that is away is no more than is known of it', async () => {
  writeFileSync(other, 'another source');
  await backup.run(backup.input.parse({ sources: ['s'] }), moreUses);
  const taken = await named('s', 'a', moreUses);
  const then = new Date().toISOString();
  await without('b', async () => {
    expect(await named('s', undefined, moreUses)).toEqual({ id: taken.id, where: 'a' });
    expect([warnings, notes]).toEqual([[], [expect.stringMatching(/it held none that is newer$/)]]);
  });
  await backup.run(backup.input.parse({ sources: ['other'] }), moreUses);
  await backup.run(backup.input.parse({ sources: ['s'], repository: 'b' }), moreUses);
  await without('b', async () => {
    await named('s', undefined, moreUses);
    expect(warnings).toEqual([expect.stringMatching(/b held a newer one, of .*, when it was seen last$/)]);
    // the newest that is known is younger than that
    expect(await named(`s@${then}`, undefined, moreUses)).toEqual({ id: taken.id, where: 'a' });
    expect(warnings).toEqual([expect.stringMatching(/and b may hold a newer one$/)]);
  });
});

test('«latest» is the newest of all sources, also in a repository that is away', async () => {
  await backup.run(backup.input.parse({ sources: ['t'], repository: 'a' }), moreUses);
  await without('b', async () => {
    await named('latest', undefined, moreUses);
    expect(warnings).toContainEqual(expect.stringMatching(/^repository b: .*b may hold a newer one$/));
  });
  await backup.run(backup.input.parse({ sources: ['other'] }), moreUses);
  await without('b', async () => {
    await named('latest', undefined, moreUses);
    expect(notes).toEqual([]);
    expect(warnings).toContainEqual(expect.stringMatching(/^repository b: .*b held a newer one, of/));
  });
});

test('of two that are compared, a repository that has both is not said to miss one', async () => {
  await backup.run(backup.input.parse({ sources: ['s'], repository: 'a' }), moreUses);
  const then = new Date().toISOString();
  await backup.run(backup.input.parse({ sources: ['s'], repository: 'b' }), moreUses);
  warnings = [];
  await using found = await openTogether([`s@${then}`, 's'], undefined, moreUses);
  expect(found.opened.name).toBe('b');
  expect(warnings).toEqual([
    expect.stringMatching(
      /^repository a holds a newer «s@.*», of .*, but an older «s» than b, where both are taken from$/,
    ),
  ]);
});
