/**
 * Copies a WAL database while another process commits to it: the driver's overlay copy, `cp` of the same file, and the sqlite3
 * shell's `.backup` with a time limit, in turns in one run. Every copy of ours is checked with integrity_check and the
 * bank's invariants. Prints medians, their ratios, and how long the writer's commits took.
 *
 *   node bench/sqlite-copy.ts [--gib 2] [--rounds 3] [--per-second 200] [--limit 60] [--place /var/tmp] [--fingerprint off]
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { bankFaults, seedBank } from '../src/drivers/sqlite/fixture.ts';
import { filesOf, playground, sourceOf, startWriter } from '../src/drivers/sqlite/fixture-run.ts';
import { sqlite } from '../src/drivers/sqlite/index.ts';
import { settings } from '../src/drivers/sqlite/settings.ts';
import { localHost } from '../src/hosts/local/index.ts';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    'per-second': { type: 'string', default: '200' },
    limit: { type: 'string', default: '60' },
    place: { type: 'string', default: '/var/tmp' },
    fingerprint: { type: 'string', default: 'off' },
  },
});
const host = localHost();
using place = playground(values.place);
const path = place.path('bank.db');
const copy = place.path('copy.db');
const fingerprint = settings.shape.fingerprint.parse(values.fingerprint);

/** Larger writes make the kernel look for large free pieces of memory: 32 KiB was measured 3 to 5 times as fast as 256 KiB and more. */
const writeBytes = 32 * 1024;

/** Two buffers: one is filled by the thread pool while the other is written here. */
async function overlayCopy(): Promise<void> {
  await using capture = await sqlite.capture(sourceOf(host, { path, fingerprint }));
  const reader = await (await filesOf(capture)).get(path)!.open();
  const out = openSync(copy, 'w');
  const buffers = [Buffer.allocUnsafe(1 << 20), Buffer.allocUnsafe(1 << 20)];
  let reading = reader.read(buffers[0]);
  for (let i = 0; ; i ^= 1) {
    const count = await reading;
    if (count === 0) break;
    reading = reader.read(buffers[i ^ 1]);
    for (let at = 0; at < count; at += writeBytes) writeSync(out, buffers[i], at, Math.min(writeBytes, count - at));
  }
  closeSync(out);
  await capture.complete();
}

async function overlayRead(): Promise<void> {
  await using capture = await sqlite.capture(sourceOf(host, { path, fingerprint }));
  const reader = await (await filesOf(capture)).get(path)!.open();
  const buffer = Buffer.allocUnsafe(1 << 20);
  while ((await reader.read(buffer)) > 0);
  await capture.complete();
}

function plainCopy(): void {
  const { status } = spawnSync('cp', [path, copy]);
  if (status !== 0) throw new Error('cp failed');
}

/** Seconds, or how far it came when its time was up. */
function shellBackup(): string {
  const started = performance.now();
  const { status } = spawnSync('timeout', [values.limit, 'sqlite3', path, `.backup '${copy}'`]);
  if (status === 0) return `${((performance.now() - started) / 1000).toFixed(2)} s`;
  const share = (100 * (statSync(copy, { throwIfNoEntry: false })?.size ?? 0)) / statSync(path).size;
  return `not finished after ${values.limit} s (${share.toFixed(1)} % written)`;
}

interface Timed {
  readonly seconds: number[];
  readonly writer: string[];
}

async function timed(task: () => Promise<void> | void, into: Timed): Promise<void> {
  rmSync(copy, { force: true });
  spawnSync('sync');
  const writer = await startWriter({ path, perSecond: Number(values['per-second']) });
  const started = performance.now();
  await task();
  into.seconds.push((performance.now() - started) / 1000);
  const report = await writer.stop();
  into.writer.push(
    `${(report.commits / report.seconds).toFixed(0)} tx/s, p50 ${report.p50Ms.toFixed(2)} p99 ${report.p99Ms.toFixed(1)} max ${report.maxMs.toFixed(0)} ms`,
  );
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function show(name: string, { seconds, writer }: Timed, bytes: number): void {
  const mib = bytes / (1 << 20);
  const list = seconds.map((value) => value.toFixed(2)).join(' ');
  console.log(
    `${name.padEnd(22)} median ${median(seconds).toFixed(2)} s (${list}), ${(mib / median(seconds)).toFixed(0)} MiB/s`,
  );
  console.log(`${' '.repeat(23)}writer: ${writer.join(' | ')}`);
}

const blobs = Math.ceil((Number(values.gib) * (1 << 30)) / 4096);
console.log(`seeding ${values.gib} GiB …`);
seedBank({ path, blobs, accounts: 1000 });
spawnSync('sync');
const bytes = statSync(path).size;
const results = { none: newTimed(), read: newTimed(), ours: newTimed(), cp: newTimed() };

function newTimed(): Timed {
  return { seconds: [], writer: [] };
}

// The first copy of all pays for memory nobody has touched yet.
plainCopy();
const faults: string[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  await timed(() => new Promise((resolve) => setTimeout(resolve, 4000)), results.none);
  await timed(overlayRead, results.read);
  // Turn and turn about: whoever comes second finds memory that the first has just given back, which is faster to fill.
  const copiers = [
    async () => {
      await timed(overlayCopy, results.ours);
      faults.push(...bankFaults(copy));
    },
    async () => await timed(plainCopy, results.cp),
  ];
  for (const copier of round % 2 === 0 ? copiers : copiers.toReversed()) await copier();
}
rmSync(copy, { force: true });
const writer = await startWriter({ path, perSecond: Number(values['per-second']) });
const shell = shellBackup();
await writer.stop();

console.log(`database ${(bytes / (1 << 30)).toFixed(2)} GiB, ${values.rounds} rounds, fingerprint ${fingerprint}`);
console.log(`writer without backup: ${results.none.writer.join(' | ')}`);
show('overlay, read only', results.read, bytes);
show('overlay copy to file', results.ours, bytes);
show('cp (torn)', results.cp, bytes);
console.log(`sqlite3 .backup        ${shell}`);
console.log(`ratio overlay copy / cp: ${(median(results.ours.seconds) / median(results.cp.seconds)).toFixed(2)}`);
console.log(faults.length === 0 ? 'every overlay copy is intact and consistent' : `BAD COPIES: ${faults.join('; ')}`);
process.exitCode = faults.length === 0 ? 0 : 1;
