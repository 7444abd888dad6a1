/**
 * Copies a WAL database while another process commits to it: the driver's overlay copy in both
 * its ways (`copyFirst`, and its stream written to a file), `cp` of the same file, and the sqlite3
 * shell's `.backup` with a time limit, in turns in one run. Both targets are new files in the same directory; neither is
 * flushed. Every copy of ours is checked with integrity_check and the bank's invariants. Prints medians, their ratio, and how
 * long the writer's commits took. The overlay copy counts everything from the start of the process that holds the lock to its
 * end, with compiled code kept as `bin/holdfast` keeps it.
 *
 *   node bench/sqlite-copy.ts [--gib 2] [--rounds 3] [--per-second 200] [--limit 60] [--place /var/tmp] [--fingerprint off]
 *     [--idle 4]         seconds the writer is measured alone in each round
 *     [--database FILE]  a database kept from run to run; seeded if it is not there
 *     [--kinds none,read,first,stream,cp]  what each round is made of
 *     [--cold]           the kernel's cache is emptied of the database before each copy
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bankFaults, seedBank } from '../src/drivers/sqlite/fixture.ts';
import { filesOf, playground, sourceOf, startWriter } from '../src/drivers/sqlite/fixture-run.ts';
import type { WriterReport } from '../src/drivers/sqlite/fixture-writer.ts';
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
    idle: { type: 'string', default: '4' },
    database: { type: 'string' },
    kinds: { type: 'string', default: 'none,read,first,stream,cp' },
    cold: { type: 'boolean', default: false },
  },
});
const host = localHost();
using place = playground(values.place);
const path = values.database ?? place.path('bank.db');
process.env.NODE_COMPILE_CACHE ??= join(place.directory, 'compiled');
const copy = place.path('copy.db');
const fingerprint = settings.shape.fingerprint.parse(values.fingerprint);

/**
 * Measured from 32 KiB to 1 MiB, 2 GiB on ext4: 128 KiB is the fastest. Smaller ones cost calls; for larger ones the kernel
 * looks for larger free pieces of memory, which takes it several times as long as the copying.
 */
const writeBytes = 128 * 1024;

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

/** What is done with a copy when its time is taken. */
type Afterwards = () => Promise<void>;

/** The driver's own copy (`copyFirst`), until it is made and the database let go of. */
async function copiedFirst(): Promise<Afterwards> {
  const capture = await sqlite.capture(
    sourceOf(host, { path, fingerprint, copyFirst: true, spoolDirectory: place.directory }),
  );
  return async () => {
    const room = readdirSync(place.directory).find((name) => name.startsWith('holdfast-sqlite-'));
    judge(join(place.directory, String(room), 'copy.db'));
    await capture[Symbol.asyncDispose]();
  };
}

/** A copy is one state of the bank, or it is a fault of this program. */
function judge(file: string): void {
  const found = bankFaults(file);
  if (found.length === 0) intact++;
  faults.push(...found);
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
  readonly writer: WriterReport[];
}

/** From the disk, not from memory: nothing of the file stays in the kernel's cache. */
function evict(file: string): void {
  spawnSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0']);
}

async function timed(task: () => unknown, into: Timed): Promise<void> {
  rmSync(copy, { force: true });
  spawnSync('sync');
  if (values.cold) evict(path);
  const writer = await startWriter({ path, perSecond: Number(values['per-second']) });
  const started = performance.now();
  const afterwards = await task();
  into.seconds.push((performance.now() - started) / 1000);
  into.writer.push(await writer.stop());
  if (typeof afterwards === 'function') await afterwards();
}

/** Of many rounds the middle and the worst: one of a hundred may have met something else. */
function writerLine(reports: readonly WriterReport[]): string {
  const each = (value: (report: WriterReport) => number): string =>
    `${median(reports.map(value)).toFixed(2)} (worst ${Math.max(...reports.map(value)).toFixed(2)})`;
  const rate = median(reports.map(({ commits, seconds }) => commits / seconds));
  const late = reports.filter(({ p99Ms }) => p99Ms >= 10).length;
  return `${rate.toFixed(0)} tx/s, p50 ${each((r) => r.p50Ms)}, p99 ${each((r) => r.p99Ms)}, max ${each((r) => r.maxMs)} ms; p99 of 10 ms or more in ${late} of ${reports.length}`;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function show(name: string, { seconds, writer }: Timed, bytes: number): void {
  if (seconds.length === 0) return;
  const mib = bytes / (1 << 20);
  const list = seconds.map((value) => value.toFixed(2)).join(' ');
  console.log(
    `${name.padEnd(22)} median ${median(seconds).toFixed(2)} s (${list}), ${(mib / median(seconds)).toFixed(0)} MiB/s`,
  );
  console.log(`${' '.repeat(23)}writer: ${writerLine(writer)}`);
}

if (!existsSync(path)) {
  console.log(`seeding ${values.gib} GiB …`);
  seedBank({ path, blobs: Math.ceil((Number(values.gib) * (1 << 30)) / 4096), accounts: 1000 });
  spawnSync('sync');
}
const bytes = statSync(path).size;
const kinds = values.kinds.split(',');
const faults: string[] = [];
let intact = 0;
const results = { none: newTimed(), read: newTimed(), first: newTimed(), ours: newTimed(), cp: newTimed() };

function newTimed(): Timed {
  return { seconds: [], writer: [] };
}

async function idle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1000 * Number(values.idle)));
}

const copiers: Record<string, () => Promise<void>> = {
  first: async () => await timed(copiedFirst, results.first),
  stream: async () => {
    await timed(overlayCopy, results.ours);
    judge(copy);
  },
  cp: async () => await timed(plainCopy, results.cp),
};

// The first copy of all pays for memory nobody has touched yet, and the first holder for compiling its program.
plainCopy();
await overlayRead();
for (let round = 0; round < Number(values.rounds); round++) {
  if (kinds.includes('none')) await timed(idle, results.none);
  if (kinds.includes('read')) await timed(overlayRead, results.read);
  // Turn and turn about: whoever comes second finds memory that the first has just given back, which is faster to fill.
  const chosen = ['first', 'stream', 'cp'].filter((kind) => kinds.includes(kind));
  const turned = [...chosen.slice(round % chosen.length), ...chosen.slice(0, round % chosen.length)];
  for (const kind of round % 2 === 0 ? turned : turned.toReversed()) await copiers[kind]();
  if ((round + 1) % 10 === 0) console.log(`${round + 1} rounds, ${intact} copies intact, ${faults.length} faults`);
}
rmSync(copy, { force: true });
const writer = await startWriter({ path, perSecond: Number(values['per-second']) });
const shell = shellBackup();
await writer.stop();

console.log(
  `database ${(bytes / (1 << 30)).toFixed(2)} GiB, ${values.rounds} rounds, fingerprint ${fingerprint}, ${values.cold ? 'cold' : 'warm'} cache`,
);
show('writer alone', results.none, 0);
show('overlay, read only', results.read, bytes);
show('copied first', results.first, bytes);
show('stream to file', results.ours, bytes);
show('cp (torn)', results.cp, bytes);
console.log(`sqlite3 .backup        ${shell}`);
const speed = ({ seconds }: Timed): string =>
  seconds.length === 0 ? 'not measured' : (median(results.cp.seconds) / median(seconds)).toFixed(2);
if (results.cp.seconds.length > 0)
  console.log(`of the speed of cp: copied first ${speed(results.first)}, stream to file ${speed(results.ours)}`);
console.log(
  `${intact} of ${results.first.seconds.length + results.ours.seconds.length} overlay copies are intact and consistent`,
);
for (const fault of faults) console.log(`BAD COPY: ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;
