/** Runs the test projects one after the other, fast ones first, and ends with one line that counts all of them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const projects = process.argv.length > 2 ? process.argv.slice(2) : ['unit', 'interop', 'drivers', 'platform', 'slow'];
const folder = mkdtempSync(join(tmpdir(), 'holdfast-results-'));
let passed = 0;
let failed = 0;
for (const project of projects) {
  const file = join(folder, `${project}.json`);
  const args = ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const run = spawnSync('vitest', args, { stdio: 'inherit' });
  const result = readResult(file);
  passed += result.passed;
  // A run that broke without a failed test (a crash, an empty suite) is a failure all the same.
  failed += result.failed > 0 || run.status === 0 ? result.failed : 1;
}
rmSync(folder, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function readResult(file: string): { passed: number; failed: number } {
  try {
    const json = JSON.parse(readFileSync(file, 'utf8')) as { numPassedTests: number; numFailedTests: number };
    return { passed: json.numPassedTests, failed: json.numFailedTests };
  } catch {
    return { passed: 0, failed: 1 };
  }
}
