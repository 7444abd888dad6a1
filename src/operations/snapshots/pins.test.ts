import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import type { RunEvent } from '../../model/run.ts';
import { storageKinds } from '../../storage/registry.ts';
import { backup } from '../backup/backup.ts';
import { pin, unpin } from './pins.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-pins-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let warnings: string[] = [];

function world(repositories: readonly string[]) {
  const known = { drivers: [filesDriver], storageKinds, hostKinds, channelKinds: [] };
  const declared = repositories.map((name) => `${name}: { url: ${folder}/${name}, password: { env: PW } }`);
  const text = `
repositories: { ${declared.join(', ')} }
sources: { notes: { driver: files, paths: [${folder}/notes.txt], repository: [${repositories.join(', ')}] } }
`;
  const host = localHost();
  return {
    ...known,
    config: parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), known),
    env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    ...{ localHost: () => host, openContainers: async () => undefined, clock: systemClock },
    signal: new AbortController().signal,
    report: (event: RunEvent) => {
      if (event.type === 'warning') warnings.push(event.message);
    },
  };
}

test('one that never was pinned is not said to be let go: those of its source that are pinned are named', async () => {
  const uses = world(['nas']);
  const store = async (content: string) => {
    writeFileSync(join(folder, 'notes.txt'), content);
    expect(await backup.run(backup.input.parse({ all: true }), uses)).toMatchObject({ ok: true });
  };
  await initCheaply(join(folder, 'nas'), 'pw');
  await store('one');
  const wanted = { snapshots: ['notes@latest'] };
  const pinned = (await pin.run(wanted, uses)).snapshots[0];
  expect(pinned).toMatchObject({ pinned: true, changed: true, source: 'notes' });
  expect((await pin.run(wanted, uses)).snapshots[0]).toMatchObject({ pinned: true, changed: false });
  await store('two');
  const other = (await unpin.run(wanted, uses)).snapshots[0];
  expect(other).toMatchObject({ pinned: false, changed: false, others: [{ id: pinned.id }] });
  expect(other.id).not.toBe(pinned.id);
  const gone = (await unpin.run({ snapshots: [pinned.id] }, uses)).snapshots[0];
  expect(gone).toMatchObject({ id: pinned.id, pinned: false, changed: true });
  expect((await unpin.run(wanted, uses)).snapshots[0].others).toEqual([]);
});

test('a pin in another repository of the source is named, and one that cannot be looked into is', async () => {
  const uses = world(['a', 'b']);
  const store = async (content: string, repository?: string) => {
    writeFileSync(join(folder, 'notes.txt'), content);
    expect(await backup.run(backup.input.parse({ all: true, repository }), uses)).toMatchObject({ ok: true });
  };
  for (const name of ['a', 'b']) await initCheaply(join(folder, name), 'pw');
  await store('one', 'a');
  const pinned = (await pin.run({ snapshots: ['notes'] }, uses)).snapshots[0];
  await store('two', 'b');
  const asBefore = { repository: 'b', pinned: false, changed: false };
  expect((await unpin.run({ snapshots: ['notes'] }, uses)).snapshots[0]).toMatchObject({
    ...asBefore,
    others: [{ id: pinned.id, repository: 'a' }],
    lookedIn: ['b', 'a'],
  });
  const inOne = (await unpin.run({ snapshots: ['notes'], repository: 'b' }, uses)).snapshots[0];
  expect(inOne).toMatchObject({ ...asBefore, others: [], lookedIn: ['b'] });
  renameSync(join(folder, 'a'), join(folder, 'away'));
  warnings = [];
  const without = (await unpin.run({ snapshots: ['notes'] }, uses)).snapshots[0];
  expect(without).toMatchObject({ ...asBefore, others: [], lookedIn: ['b'] });
  expect(warnings).toContainEqual(expect.stringMatching(/^repository a: .*; what is pinned there is not known$/));
});
