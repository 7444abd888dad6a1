import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { type Homelab, startHomelab } from '../servers/homelab.ts';
import { initCheaply } from '../support/cheap-repository.ts';

interface Results {
  readonly ok: boolean;
  readonly results: readonly {
    readonly target?: string;
    readonly source?: string;
    readonly ok: boolean;
    error?: unknown;
  }[];
}

let homelab: Homelab;
const trial = new Trial();
beforeAll(async () => {
  homelab = await startHomelab();
});
afterAll(async () => {
  await homelab?.[Symbol.asyncDispose]();
  trial.dispose();
});

test('eleven databases on ten machines, Vault and configuration files are backed up and proven by two commands', async () => {
  const config = ['--config', homelab.configFile];
  expect(homelab.sources).toHaveLength(15);
  for (const name of ['nas', 'drive']) await initCheaply(`${homelab.folder}/${name}`, 'a homelab');
  const stored = await trial.json<Results>(...config, 'backup', '--all');
  expect(stored.results.filter((one) => !one.ok)).toEqual([]);
  const proven = await trial.json<Results>(...config, 'drill', '--all');
  expect(proven.results.filter((one) => !one.ok)).toEqual([]);
  // in each of its two repositories
  expect(proven.results.map((one) => one.target)).toEqual(homelab.sources.flatMap((one) => [one, one]));
  const env = { ...process.env, RESTIC_PASSWORD: 'a homelab', RESTIC_CACHE_DIR: homelab.folder };
  execFileSync('restic', ['-r', `${homelab.folder}/nas`, 'check', '--read-data'], { env, stdio: 'pipe' });
});
