import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import { storageKinds } from '../../storage/registry.ts';
import { backup } from '../backup/backup.ts';
import { drill } from '../snapshots/drill.ts';
import { find, type Match } from '../snapshots/find.ts';
import { proofs } from '../snapshots/proofs.ts';
import { snapshots } from '../snapshots/snapshots.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-ask-each-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The first repository does not exist. */
function world(emit: (one: Match) => void = () => {}) {
  const known = { drivers: [filesDriver], storageKinds, hostKinds, channelKinds: [] };
  const text = `
repositories:
  away: { url: ${folder}/away, password: { env: PW } }
  nas: { url: ${folder}/nas, password: { env: PW } }
sources: { notes: { driver: files, paths: [${folder}/notes.txt], repository: nas } }
`;
  const host = localHost();
  return {
    ...known,
    config: parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), known),
    env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    ...{ localHost: () => host, openContainers: async () => undefined, clock: systemClock },
    signal: new AbortController().signal,
    report: () => {},
    emit,
  };
}

beforeAll(async () => {
  await initCheaply(join(folder, 'nas'), 'pw');
  writeFileSync(join(folder, 'notes.txt'), 'one');
  expect(await backup.run(backup.input.parse({ all: true }), world())).toMatchObject({ ok: true });
  await drill.run(drill.input.parse({ all: true }), world());
});

test('a repository that cannot be asked hides nothing of what the others hold, and is named', async () => {
  const failed = [{ repository: 'away', code: 'storage.not-found' }];
  expect(await snapshots.run({ all: false }, world())).toMatchObject({ snapshots: [{ source: 'notes' }], failed });
  expect(await proofs.run({}, world())).toMatchObject({ proofs: [{ source: 'notes', verdict: 'passed' }], failed });
  const matches: Match[] = [];
  const found = await find.run(
    { patterns: ['*.txt'], ignoreCase: false },
    world((one) => void matches.push(one)),
  );
  expect(found).toMatchObject({ snapshots: 1, count: 1, failed });
  expect(matches).toMatchObject([{ path: join(folder, 'notes.txt'), repository: 'nas' }]);
});

test('where none can be asked, that is the error', async () => {
  const away = { repository: 'away' };
  await expect(proofs.run(away, world())).rejects.toMatchObject({ code: 'storage.not-found' });
  await expect(find.run({ ...away, patterns: ['*'], ignoreCase: false }, world())).rejects.toMatchObject({
    code: 'storage.not-found',
  });
});

test('an error of who takes the matches is none of a repository', async () => {
  const gone = new Error('nobody reads any more');
  const uses = world(() => {
    throw gone;
  });
  await expect(find.run({ patterns: ['*.txt'], ignoreCase: false }, uses)).rejects.toBe(gone);
});
