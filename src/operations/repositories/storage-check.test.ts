import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { emptyConfig } from '../../config/index.ts';
import { localHost } from '../../hosts/local/index.ts';
import { silent } from '../../model/run.ts';
import { localStorage } from '../../storage/local/index.ts';
import { storageCheck } from './storage-check.ts';

const place = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
afterAll(() => rmSync(place, { recursive: true }));

const uses = {
  config: emptyConfig(join(place, 'holdfast.yaml')),
  storageKinds: [localStorage],
  env: {},
  localHost: () => localHost(),
  clock: systemClock,
  signal: new AbortController().signal,
  report: silent,
};

it('a place that is not there is refused, and not made: it may be a disk that is not mounted', async () => {
  mkdirSync(join(place, 'mnt'));
  await expect(storageCheck.run({ url: join(place, 'mnt/nas/holdfast') }, uses)).rejects.toMatchObject({
    code: 'storage.not-found',
    message: expect.stringContaining(`${place}/mnt/nas/holdfast does not exist`),
    remedy: expect.stringMatching(/mount .*mkdir -p/),
  });
  expect(existsSync(join(place, 'mnt/nas'))).toBe(false);
});
