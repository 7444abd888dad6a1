/** The promises of a storage, as far as the REST protocol can keep them, against rclone's REST server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { restStorage } from '../../src/storage/rest/index.ts';
import { type RcloneServer, startRclone } from '../servers/rclone.ts';
import { type StrictRest, startStrictRest } from '../servers/strict-rest.ts';
import { clearSecret, openAt } from '../support/storages.ts';

let server: RcloneServer;
let strict: StrictRest;
const place = mkdtempSync(join(tmpdir(), 'holdfast-rest-'));
beforeAll(async () => {
  server = await startRclone({ protocol: 'restic', directory: place, user: 'me', password: 'right' });
  strict = await startStrictRest();
});
afterAll(async () => {
  await strict[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(place, { recursive: true });
});

/** The protocol has no «only if absent»: of two writers at the same moment both may win. */
const notPromised = ['one-winner'];
/** A list for each put: below, with names of restic's. */
const slow = ['long-list'];
const left = [...notPromised, ...slow];
/** rclone before 1.63 writes an object in place, under its own name: who reads it meanwhile finds a part. */
const notByRclone = ['atomic-replace'];

test.each(storageCases.filter(({ id }) => ![...left, ...notByRclone].includes(id)))(
  'REST to rclone: $why',
  async (each) => {
    const settings = { user: 'me', password: clearSecret('right') };
    const result = await runStorageCase(each, {
      open: () => openAt(restStorage, `rest:http://127.0.0.1:${server.port}/repository/`, { settings, create: true }),
      prefix: 'holdfast/check',
    });
    expect(result.error).toBeUndefined();
    expect(result).toMatchObject({ passed: true });
  },
);

test.each(storageCases.filter(({ id }) => !left.includes(id)))(
  'REST with the rules of rest-server: $why',
  async (each) => {
    const result = await runStorageCase(each, {
      open: () => openAt(restStorage, `rest:http://127.0.0.1:${strict.port}/me/shop/`, { settings: {}, create: true }),
      prefix: 'holdfast/check',
    });
    expect(result.error).toBeUndefined();
    expect(result).toMatchObject({ passed: true });
  },
);

test('nothing is left on it', () => {
  expect([...strict.stored.keys()]).toEqual([]);
});
