/** The promises of a storage, against a real sshd. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { sftpStorage } from '../../src/storage/sftp/index.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { openAt } from '../support/storages.ts';

let server: Sshd;
const place = mkdtempSync(join(tmpdir(), 'holdfast-sftp-'));
beforeAll(async () => {
  server = await startSshd();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(place, { recursive: true });
});

test.each(storageCases)('SFTP to OpenSSH: $why', async (each) => {
  const settings = { key: { from: 'file', path: server.key } as const, knownHosts: server.knownHosts };
  const result = await runStorageCase(each, {
    open: () => openAt(sftpStorage, `sftp://${server.address}/${place}/repository`, { settings, create: true }),
    prefix: 'holdfast/check',
  });
  expect(result.error).toBeUndefined();
  expect(result).toMatchObject({ passed: true });
});

test('SFTP to OpenSSH: of no case is anything left, not even a folder; and what is in a folder keeps it', async () => {
  const settings = { key: { from: 'file', path: server.key } as const, knownHosts: server.knownHosts };
  const storage = await openAt(sftpStorage, `sftp://${server.address}/${place}/repository`, { settings });
  const left = () => readdirSync(join(place, 'repository'), { recursive: true }).sort();
  try {
    expect(left()).toEqual(['holdfast', 'holdfast/check', '~holdfast']);
    await storage.put('holdfast/check/deep/kept', [Buffer.from('x')]);
    await storage.removeFolders?.('holdfast');
    expect(await storage.stat('holdfast/check/deep/kept')).toMatchObject({ sizeBytes: 1 });
    await storage.delete('holdfast/check/deep/kept');
    await storage.removeFolders?.('holdfast');
    expect(left()).toEqual([]);
  } finally {
    await storage.close();
  }
});
