/**
 * How many runs a minute go through several workers on one PostgreSQL: from being queued, over the scheduler's decision and
 * pg-boss, to their end with its event. The runs themselves only wait.
 *
 *     node bench/runs.ts [--runs 400] [--workers 4] [--capacity 2] [--ms 200]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';
import { parseArgs } from 'node:util';
import { type Catalogue, openCatalogue } from '../src/catalogue/open.ts';
import { insertRun } from '../src/catalogue/runs.ts';
import { startPostgres } from '../test/servers/postgres.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '400' },
    workers: { type: 'string', default: '4' },
    capacity: { type: 'string', default: '2' },
    ms: { type: 'string', default: '200' },
  },
});
const count = Number(values.runs);

await using server = await startPostgres({ release: 15, options: { fsync: 'on', synchronous_commit: 'on' } });
await server.run('postgres', 'CREATE DATABASE bench');
const url = server.url('bench');
await using catalogue = await openCatalogue({ kind: 'postgres', url }, () => Date.now());
const workers = await Promise.all(Array.from({ length: Number(values.workers) }, startWorker));
try {
  const beganMs = performance.now();
  for (let i = 0; i < count; i++) {
    const about = { source: `s${i}`, host: `h${i % 40}`, repository: `r${i % 10}` };
    await insertRun(catalogue, { kind: 'backup', ...about, trigger: 'manual', askedBy: 'bench' });
  }
  const queuedMs = performance.now() - beganMs;
  while ((await ended(catalogue)) < count) await sleep(50);
  const wholeMs = performance.now() - beganMs;
  const waits = await waitsOf(catalogue);
  const at = (share: number): number => waits[Math.floor(share * (waits.length - 1))];
  console.log(
    `${count} runs of ${values.ms} ms through ${values.workers} workers of ${values.capacity}: ${(wholeMs / 1000).toFixed(1)} s, ` +
      `${Math.round((count / wholeMs) * 60_000)} a minute (queueing all took ${(queuedMs / 1000).toFixed(1)} s)`,
  );
  console.log(`from let in to begun: median ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(1)} ms`);
} finally {
  for (const child of workers) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

async function startWorker(): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('runs-worker.ts', import.meta.url));
  const child = spawn(process.execPath, [script, url, values.capacity, values.ms], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

async function ended({ db }: Catalogue): Promise<number> {
  const row = await db
    .selectFrom('run')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('state', '=', 'succeeded')
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

async function waitsOf({ db }: Catalogue): Promise<number[]> {
  const rows = await db.selectFrom('run').select(['admittedAtMs', 'startedAtMs']).execute();
  return rows.map((row) => row.startedAtMs! - row.admittedAtMs!).sort((a, b) => a - b);
}
