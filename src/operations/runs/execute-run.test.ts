import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { initCheaply } from '../../../test/support/cheap-repository.ts';
import { systemClock } from '../../base/clock.ts';
import { parseConfig } from '../../config/index.ts';
import type { AnyDriver } from '../../drivers/driver.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { hostKinds, localHost } from '../../hosts/registry.ts';
import type { RunEvent } from '../../model/run.ts';
import type { RunKind, RunRecord } from '../../model/run-record.ts';
import { storageKinds } from '../../storage/registry.ts';
import { executeWith } from './execute-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-execute-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Files that come back, on a file system that cannot hold all that was known of them. */
const poor: AnyDriver = {
  ...filesDriver,
  restore: async (...given) => ({
    ...(await filesDriver.restore(...given)),
    problems: ['a.txt: its owner could not be set'],
  }),
};

async function perform(kind: RunKind, input: RunRecord['input'], reported: RunEvent[] = []) {
  const kinds = { drivers: [poor], storageKinds, hostKinds, channelKinds: [] };
  const text = `
repositories: { nas: { url: ${folder}/nas, password: { env: PW } } }
sources: { notes: { driver: files, paths: [${folder}/notes.txt], repository: nas } }
`;
  const host = localHost();
  const access = {
    ...kinds,
    config: parseConfig(join(folder, 'holdfast.yaml'), Buffer.from(text), kinds),
    env: { PW: 'pw', HOLDFAST_CACHE: 'off', HOLDFAST_STATE: join(folder, 'state') },
    localHost: () => host,
    openContainers: async () => undefined,
  };
  const rest = { trigger: 'manual', state: 'running', attempt: 1, askedBy: 'anna', cancelRequested: false } as const;
  const about = { id: 'r', kind, source: 'notes', host: 'local', notBeforeMs: 0, queuedAtMs: 0 };
  const { signal } = new AbortController();
  const report = (event: RunEvent): void => void reported.push(event);
  return await executeWith(() => access)({ ...rest, ...about, input }, { clock: systemClock, signal, report });
}

test('what a restore could not set is a warning of its run, and the name of a source is no path', async () => {
  writeFileSync(join(folder, 'notes.txt'), 'a note');
  await initCheaply(join(folder, 'nas'), 'pw');
  expect(await perform('backup', {})).toMatchObject({ ok: true });
  const reported: RunEvent[] = [];
  const to = join(folder, 'back');
  expect(await perform('restore', { to }, reported)).toMatchObject({ ok: true, result: { target: to } });
  expect(reported.filter((event) => event.type === 'warning')).toEqual([
    { type: 'warning', code: 'restore.failed', message: 'a.txt: its owner could not be set', subject: to },
  ]);
  await expect(perform('restore', { to: 'notes' })).rejects.toMatchObject({ code: 'restore.target-invalid' });
});
