/** Runs every driver's suite and writes what ran into docs/drivers/tested.md: `npm run docs:drivers`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { driverCases } from '../../src/drivers/check.ts';
import type { SuiteResult } from './trial.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-conformance-'));
const env = { ...process.env, CONFORMANCE_RESULTS: folder };
const suites = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.conformance.test.ts'));
const files = suites.map((name) => `test/drivers/${name}`);
const { status } = spawnSync('vitest', ['run', '--project', 'drivers', ...files], { stdio: 'inherit', env });
const results = readdirSync(folder)
  .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as SuiteResult)
  .toSorted((a, b) => a.title.localeCompare(b.title, 'en', { numeric: true }));
rmSync(folder, { recursive: true });
writeFileSync(new URL('../../docs/drivers/tested.md', import.meta.url), table(results));
process.exitCode = status ?? 1;

function table(suites: readonly SuiteResult[]): string {
  const day = new Date().toISOString().slice(0, 10);
  return [
    '# What the drivers were tested against',
    '',
    `Written by \`npm run docs:drivers\` on ${day}, from the run itself: the suite of ${driverCases.length} promises that`,
    'every driver must keep, against servers that were started for it. `holdfast driver check SOURCE` runs the ones that only',
    'read against a source of yours.',
    '',
    '| source | driver | server | promises kept |',
    '|---|---|---|---|',
    ...suites.map(({ title, driver, server, passed }) => {
      const missing = driverCases.filter(({ id }) => !passed.includes(id)).map(({ id }) => id);
      const kept = `${passed.length} of ${driverCases.length}${missing.length > 0 ? `; not: ${missing.join(', ')}` : ''}`;
      return `| ${title} | \`${driver}\` | ${server} | ${kept} |`;
    }),
    '',
    '## The promises',
    '',
    ...driverCases.map(({ id, why }) => `- \`${id}\`: ${why}`),
    '',
  ].join('\n');
}
