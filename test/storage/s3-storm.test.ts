/**
 * Random operations on a bucket behind a proxy that fails in every way it can, copies from it and into it among them; `npm run test:storm` for a thousand. A failure
 * names its seed: STORM_SEED=… makes the same operations under the same weather again (which of several requests under way
 * at once is struck may differ). STORM_COPIES=… makes copies more frequent (1: two of ten operations).
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { StormRun } from './storm-run.ts';
import { startWorld, stormPassword } from './storm-world.ts';

const operations = Number(process.env.OPERATIONS ?? 20);
const firstSeed = Number(process.env.STORM_SEED ?? 1);
/** Operations on one repository. */
const perRepository = 125;

const runs = Array.from({ length: Math.ceil(operations / perRepository) }, (_, at) => ({
  seed: firstSeed + at,
  count: Math.min(perRepository, operations - at * perRepository),
}));

test.each(runs)('Nothing is lost and nothing wrong is restored in $count operations of seed $seed', async (given) => {
  await using world = await startWorld();
  const run = new StormRun(world, given.seed);
  const figures = await run.run(given.count).catch((error: unknown) => {
    throw new Error(`STORM_SEED=${given.seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  });
  const cache = mkdtempSync(join(world.folder, 'cache-'));
  const env = { ...process.env, ...world.server.env, RESTIC_PASSWORD: stormPassword, RESTIC_CACHE_DIR: cache };
  for (const url of world.urls) {
    const { stdout } = await promisify(execFile)('restic', ['-r', url, 'check', '--read-data'], { env });
    expect(stdout, url).toContain('no errors were found');
  }
  rmSync(cache, { recursive: true });
  const { struck, errors, copyErrors, ...counts } = figures;
  const byName = { struck: entries(struck), errors: entries(errors), copyErrors: entries(copyErrors) };
  console.log(JSON.stringify({ seed: given.seed, ...counts, ...byName }));
  expect(counts.completed).toBeGreaterThan(0);
});

function entries<K extends string>(counts: ReadonlyMap<K, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
