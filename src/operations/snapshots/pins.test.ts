import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import { storageKinds } from '../../storage/registry.ts';
import { backup } from '../backup/backup.ts';
import { pin, unpin } from './pins.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-pins-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('one that never was pinned is not said to be let go: those of its source that are pinned are named', async () => {
  const known = { drivers: [filesDriver], storageKinds, hostKinds, channelKinds: [] };
  const text = `
repositories: { nas: { url: ${folder}/nas, password: { env: PW } } }
sources: { notes: { driver: files, paths: [${folder}/notes.txt], repository: nas } }
`;
  const host = localHost();
  const uses = {
    ...known,
    config: parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), known),
    env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    ...{ localHost: () => host, openContainers: async () => undefined, clock: systemClock },
    ...{ signal: new AbortController().signal, report: () => undefined },
  };
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
