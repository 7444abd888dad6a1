import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secrets.ts';
import { emptyConfig, type RepositoryEntry } from '../../config/index.ts';
import { localHost } from '../../hosts/local/index.ts';
import { defaultWorkspace } from '../../model/principal.ts';
import { initRepository } from '../../repository/index.ts';
import { localStorage } from '../../storage/local/index.ts';
import { openStorage } from '../../storage/open.ts';
import { openEntry } from './repository-access.ts';

const place = mkdtempSync(join(tmpdir(), 'holdfast-access-'));
const passwordFile = join(place, 'password');
beforeAll(() => writeFileSync(passwordFile, 'right'));
afterAll(() => rmSync(place, { recursive: true }));

const host = localHost();
const uses = {
  config: emptyConfig(join(place, 'holdfast.yaml')),
  storageKinds: [localStorage],
  env: {},
  localHost: () => host,
  clock: systemClock,
  signal: new AbortController().signal,
};

function entry(folder: string): RepositoryEntry {
  const password = { from: 'file', path: passwordFile } as const;
  return { name: 'nas', url: join(place, folder), password, workspace: defaultWorkspace };
}

it('a repository that was not made yet says how it is made, whether its directory is there or not', async () => {
  mkdirSync(join(place, 'empty'));
  for (const [folder, code] of [
    ['missing', 'storage.not-found'],
    ['empty', 'repository.missing'],
  ]) {
    await expect(openEntry(entry(folder), uses)).rejects.toMatchObject({
      code,
      remedy: expect.stringMatching(/holdfast repo init nas\. .*mount/),
    });
  }
  expect(existsSync(join(place, 'missing'))).toBe(false);
});

it('a wrong password says where it comes from, and a repository without keys does not blame it', async () => {
  const storage = await openStorage([localStorage], join(place, 'repository'), { create: true });
  const repository = await initRepository({ storage, password: new Secret('another'), kdf: { N: 2, r: 1, p: 1 } });
  await repository.close();
  const remedy = (): Promise<string> =>
    openEntry(entry('repository'), uses).then(
      () => 'none',
      (error: { remedy: string }) => error.remedy,
    );
  expect(await remedy()).toBe(
    `Check the password, and the file or variable it is read from. Here it comes from the file ${passwordFile}.`,
  );
  rmSync(join(place, 'repository/keys'), { recursive: true });
  expect(await remedy()).toMatch(/^Restore the folder keys\//);
});
