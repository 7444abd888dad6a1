/** Writers that do their worst while copies are made; every copy is judged by the bank's invariants and by its own fingerprint. */
import { closeSync, copyFileSync, existsSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../hosts/host.ts';
import { compareFacts } from '../../model/fingerprint.ts';
import type { SourceContext } from '../driver.ts';
import { takeFacts } from './fingerprint.ts';
import { bankFaults, ledgerLength, seedBank } from './fixture.ts';
import { backUp, playground, sourceOf, startWriter } from './fixture-run.ts';
import type { WriterOptions } from './fixture-writer.ts';
import type { Settings } from './settings.ts';

export interface Torture {
  readonly copies: number;
  /** Ends at the first copy that is bad. */
  readonly untilBad?: boolean;
  readonly journal: 'wal' | 'delete' | 'truncate';
  readonly writers: readonly Omit<WriterOptions, 'path'>[];
  readonly pageBytes?: number;
  readonly blobs?: number;
  readonly settings?: Partial<Settings>;
  /** Where the copies are worked on; `host` if absent. */
  readonly local?: Host;
  /** How a copy is made; the driver's way if absent. */
  readonly copy?: (path: string, to: string) => Promise<void>;
}

export interface TortureReport {
  readonly copies: number;
  /** What was wrong with each bad copy. */
  readonly bad: readonly string[];
  /** Bad copies that `integrity_check` called ok. */
  readonly badButIntact: number;
  /** Copies for which the source was too busy within the allowed pause. */
  readonly busy: number;
  /** Copies into which frames of the WAL were laid. */
  readonly overlaid: number;
  readonly commits: number;
}

export async function torture(host: Host, plan: Torture): Promise<TortureReport> {
  using place = playground();
  const path = place.path('bank.db');
  seedBank({ path, journal: plan.journal, pageBytes: plan.pageBytes, blobs: plan.blobs });
  const writers = await Promise.all(plan.writers.map((writer) => startWriter({ path, ...writer })));
  const report = { copies: 0, bad: [] as string[], badButIntact: 0, busy: 0, overlaid: 0, commits: 0 };
  const judge = newestSeen();
  for (let i = 0; i < plan.copies && !(plan.untilBad && report.bad.length > 0); i++) {
    const to = place.path(`copy-${i}.db`);
    const faults = plan.copy
      ? await plainFaults(plan.copy, path, to)
      : await driverFaults(sourceFor(host, path, plan), to, report);
    if (faults !== undefined) count(report, judge(to, faults));
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${to}${suffix}`, { force: true });
  }
  for (const writer of writers) report.commits += (await writer.stop()).commits;
  return report;
}

/** A copy must not be older than the one before. */
function newestSeen(): (to: string, faults: string[]) => string[] {
  let seen = 0;
  return (to, faults) => {
    if (faults.length > 0) return faults;
    const length = ledgerLength(to);
    if (length < seen) return [`older than the copy before: ${length} after ${seen}`];
    seen = length;
    return [];
  };
}

function count(report: { copies: number; bad: string[]; badButIntact: number }, faults: string[]): void {
  report.copies++;
  if (faults.length === 0) return;
  report.bad.push(faults.join('; '));
  if (!faults.some((fault) => fault.startsWith('integrity'))) report.badButIntact++;
}

function sourceFor(host: Host, path: string, { settings, local }: Torture): SourceContext<Settings> {
  return sourceOf(host, { path, busyTimeoutMs: 30_000, ...settings }, local ?? host);
}

async function driverFaults(
  source: SourceContext<Settings>,
  to: string,
  report: { busy: number; overlaid: number },
): Promise<string[] | undefined> {
  try {
    const { fingerprint, facts } = await backUp(source, to);
    if (Number(facts.walPagesLaidOver) > 0) report.overlaid++;
    using db = new DatabaseSync(`file://${to}?immutable=1`, { readOnly: true });
    const found = await takeFacts(db, 'full', async () => {});
    const wrong = compareFacts(fingerprint?.facts ?? [], found.facts).filter((check) => !check.ok);
    return [...bankFaults(to), ...wrong.map((check) => `fingerprint: ${check.subject} ${check.measure}`)];
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'source.busy')) throw error;
    report.busy++;
    return undefined;
  }
}

async function plainFaults(
  copy: (path: string, to: string) => Promise<void>,
  path: string,
  to: string,
): Promise<string[]> {
  await copy(path, to);
  try {
    // Opening merges the copied WAL, as whoever restores such a copy would.
    using db = new DatabaseSync(to);
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch (error) {
    return [`cannot be opened: ${String(error)}`];
  }
  return bankFaults(to);
}

/** What `cp` does of a large file on a slow disk: the database piece by piece while it is written, then its WAL, under no lock. */
export async function unlockedCopy(path: string, to: string): Promise<void> {
  const pieces = 8;
  const size = statSync(path).size;
  const from = openSync(path, 'r');
  const copy = openSync(to, 'w');
  for (let n = 0; n < pieces; n++) {
    if (n > 0) await written(path);
    const start = Math.floor((size * n) / pieces);
    const piece = Buffer.alloc(Math.floor((size * (n + 1)) / pieces) - start);
    writeSync(copy, piece, 0, readSync(from, piece, 0, piece.length, start), start);
  }
  closeSync(from);
  closeSync(copy);
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${to}-wal`);
}

/** Until the database or its WAL was written, or a second has passed. */
async function written(path: string): Promise<void> {
  const state = (): string =>
    [path, `${path}-wal`].map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs).join();
  const before = state();
  for (let waited = 0; waited < 1000 && state() === before; waited += 5) await sleep(5);
}
