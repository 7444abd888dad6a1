/**
 * A program that writes to the bank until its input ends. Argument: JSON `WriterOptions`. Says `ready` after the first commit,
 * and at its end one JSON line: commits and their latencies.
 */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { transfer } from './fixture.ts';

export interface WriterOptions {
  readonly path: string;
  /** 0: as fast as it can. */
  readonly perSecond: number;
  readonly transfers?: number;
  readonly checkpoints?: readonly ('PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE')[];
  readonly autocheckpoint?: number;
  readonly synchronous?: 'OFF' | 'NORMAL' | 'FULL';
  /** Keeps every lock from the first commit on. */
  readonly exclusive?: boolean;
}

export interface WriterReport {
  readonly commits: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly seconds: number;
}

async function write(options: WriterOptions): Promise<void> {
  const db = new DatabaseSync(options.path, { timeout: 30_000 });
  db.exec(`PRAGMA synchronous = ${options.synchronous ?? 'NORMAL'}`);
  db.exec(`PRAGMA wal_autocheckpoint = ${options.autocheckpoint ?? 1000}`);
  if (options.exclusive) db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const over = new AbortController();
  process.stdin.resume();
  process.stdin.on('end', () => over.abort());
  const latencies: number[] = [];
  const started = performance.now();
  for (let n = 0; !over.signal.aborted; n++) {
    const begun = performance.now();
    transfer(db, options.transfers ?? 1, Math.random);
    latencies.push(performance.now() - begun);
    if (n === 0) process.stdout.write('ready\n');
    if (Math.random() < 0.2) checkpoint(db, options.checkpoints ?? []);
    const due = options.perSecond === 0 ? 0 : dueIn(started, n + 1, options.perSecond);
    if (due > 0 || n % 10 === 0) await sleep(Math.max(0, due), undefined, { signal: over.signal }).catch(() => {});
  }
  db.close();
  process.stdout.write(`${JSON.stringify(reportOf(latencies, (performance.now() - started) / 1000))}\n`);
}

function dueIn(started: number, commits: number, perSecond: number): number {
  return started + (commits * 1000) / perSecond - performance.now();
}

/** Without waiting for readers: a blocking checkpoint would only measure the patience of this program. */
function checkpoint(db: DatabaseSync, kinds: readonly string[]): void {
  if (kinds.length === 0) return;
  const kind = kinds[Math.floor(Math.random() * kinds.length)];
  db.exec('PRAGMA busy_timeout = 5');
  db.prepare(`PRAGMA wal_checkpoint(${kind})`).get();
  db.exec('PRAGMA busy_timeout = 30000');
}

function reportOf(latencies: readonly number[], seconds: number): WriterReport {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { commits: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), seconds };
}

await write(JSON.parse(process.argv[2]) as WriterOptions);
