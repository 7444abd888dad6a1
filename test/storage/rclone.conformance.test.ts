/** The promises of a storage, as far as rclone can keep them, through a process of our own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { rcloneStorage } from '../../src/storage/rest/rclone/index.ts';
import { openAt } from '../support/storages.ts';

const place = mkdtempSync(join(tmpdir(), 'holdfast-rclone-'));
afterAll(() => rmSync(place, { recursive: true }));

/** The protocol has no «only if absent»; rclone before 1.63 writes in place. */
const notPromised = ['one-winner', 'atomic-replace'];
/** A list for each put: done with names of restic's in rest.test.ts. */
const slow = ['long-list'];

test.each(storageCases.filter(({ id }) => ![...notPromised, ...slow].includes(id)))('rclone: $why', async (each) => {
  const env = { PATH: process.env.PATH, RCLONE_CONFIG: '/dev/null', RCLONE_CONFIG_DISK_TYPE: 'local' };
  const result = await runStorageCase(each, {
    open: () => openAt(rcloneStorage, `rclone:disk:${place}/repository`, { settings: {}, env, create: true }),
    prefix: 'holdfast/check',
  });
  expect(result.error).toBeUndefined();
  expect(result).toMatchObject({ passed: true });
});
