/** Runs the test projects one after the other, fast ones first, and ends with what failed and one line that counts all of them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    /** Milliseconds. */
    readonly startTime: number;
    readonly endTime: number;
    readonly message: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Fast ones first. Those of one run share its workers: at its end some would only wait for the longest file. */
const runs =
  process.argv.length > 2
    ? process.argv.slice(2).map((name) => [name])
    : [['unit'], ['interop', 'drivers', 'platform'], ['slow']];
/** Their tests wait for servers and disks a good part of their time: a third one works meanwhile, also on two cores. */
const waiting = new Set(['interop', 'drivers', 'platform']);
const folder = mkdtempSync(join(tmpdir(), 'holdfast-results-'));
const failures: string[] = [];
const files: { readonly name: string; readonly seconds: number }[] = [];
let passed = 0;
for (const projects of runs) {
  const name = projects.join('+');
  const file = join(folder, `${name}.json`);
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  for (const project of projects) args.push('--project', project);
  if (projects.every((project) => waiting.has(project))) args.push('--maxWorkers=3');
  const run = spawnSync('vitest', args, { stdio: 'inherit' });
  const report = readReport(file);
  passed += report?.numPassedTests ?? 0;
  for (const { name, startTime, endTime } of report?.testResults ?? []) {
    files.push({ name: relative(process.cwd(), name), seconds: Math.round((endTime - startTime) / 1000) });
  }
  const failed = report === undefined ? [] : failuresOf(report);
  // A run that broke without a failed test (a crash, an empty suite) is a failure all the same.
  if (failed.length === 0 && run.status !== 0) failed.push(`vitest ended with ${run.status ?? run.signal}`);
  failures.push(...failed.map((failure) => `${name}: ${failure}`));
}
rmSync(folder, { recursive: true });
// Where to look when the run gets too long.
const slowest = files.sort((a, b) => b.seconds - a.seconds).slice(0, 20);
console.log(`\nslowest: ${slowest.map(({ name, seconds }) => `${name} ${seconds} s`).join(', ')}`);
// Again at the end: whoever has only the last lines of a log should not have to guess.
for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 && passed > 0 ? 0 : 1;

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

/** One text for each failed test, and for each file that could not be run. */
function failuresOf(report: Report): string[] {
  return report.testResults.flatMap((file) => {
    const path = relative(process.cwd(), file.name);
    const tests = file.assertionResults.filter((test) => test.status === 'failed');
    if (tests.length === 0) return file.status === 'failed' ? [`${path}\n${short(file.message)}`] : [];
    return tests.map((test) => `${path} > ${test.fullName}\n${short(test.failureMessages.join('\n'))}`);
  });
}

function short(message: string): string {
  const lines = message.split('\n').slice(0, 12);
  return lines.map((line) => `  ${line.slice(0, 400)}`).join('\n');
}
