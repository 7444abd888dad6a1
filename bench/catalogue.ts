/**
 * How fast a full catalogue answers: 10,000 sources and 1,000,000 runs, an event each, 300,000 snapshots.
 *
 *   node bench/catalogue.ts [--kinds sqlite,postgres] [--runs 1000000] [--sources 10000] [--place /var/tmp] [--rounds 100]
 *   node bench/catalogue.ts --at FILE-OR-URL [--only-fill]      fills what is there, or uses what was filled before
 *
 * Times are of the call, from the statement to the objects. SQLite answers in this process: nothing else goes on meanwhile.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sortableId } from '../src/base/sortable-id.ts';
import { rememberedSources } from '../src/catalogue/data/remembered-sources.ts';
import { changeRepository } from '../src/catalogue/data/repository-content.ts';
import { growthByDay } from '../src/catalogue/data/sizes.ts';
import { listKnownProofs, listKnownSnapshots } from '../src/catalogue/data/snapshots.ts';
import { knownSources } from '../src/catalogue/data/summary.ts';
import { countRunsByKind, newestSizes, queueFigures } from '../src/catalogue/figures.ts';
import { listHappenings } from '../src/catalogue/happenings.ts';
import { lastRuns } from '../src/catalogue/last-runs.ts';
import { type Catalogue, type CatalogueAddress, openCatalogue } from '../src/catalogue/open.ts';
import {
  countRuns,
  firstIdOf,
  listRuns,
  type RunFilter,
  runningRuns,
  startableRuns,
} from '../src/catalogue/run-list.ts';
import { claimRun, finishRun, getRun, insertDueRun, renewLease } from '../src/catalogue/runs.ts';
import { startPostgres } from '../test/servers/postgres.ts';
import { snapshotOf } from '../test/support/catalogue-content.ts';
import { type Seeded, seedCatalogue } from './catalogue-seed.ts';

const { values } = parseArgs({
  options: {
    kinds: { type: 'string', default: 'sqlite,postgres' },
    runs: { type: 'string', default: '1000000' },
    sources: { type: 'string', default: '10000' },
    place: { type: 'string', default: '/var/tmp' },
    rounds: { type: 'string', default: '100' },
    at: { type: 'string' },
    'only-fill': { type: 'boolean', default: false },
    /** Of the process that is measured when it starts. */
    open: { type: 'string' },
  },
});
const dayMs = 86_400_000;
const limit = 50;

function memoryMiB(field: 'VmRSS' | 'VmHWM'): number {
  return Math.round(
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024,
  );
}

/** In a process of its own: opening, the first overview, the first page; memory after each. */
async function measureOpening(address: CatalogueAddress): Promise<void> {
  const baseMiB = memoryMiB('VmRSS');
  const start = performance.now();
  await using catalogue = await openCatalogue(address, Date.now);
  const openMs = performance.now() - start;
  const sources = await knownSources(catalogue);
  const overviewMs = performance.now() - start;
  await listRuns(catalogue, {}, { limit });
  const listMs = performance.now() - start;
  const memory = { beforeMiB: baseMiB, afterMiB: memoryMiB('VmRSS'), peakMiB: memoryMiB('VmHWM') };
  console.log(JSON.stringify({ openMs, overviewMs, listMs, sources: sources.length, ...memory }));
}

type Question = (catalogue: Catalogue, round: number) => Promise<unknown>;

function questions(seeded: Seeded): Record<string, Question> {
  const { sourceNames, repositoryNames, policyNames, firstMs, lastMs } = seeded;
  const pick = <T>(items: readonly T[], round: number): T => items[(round * 7919) % items.length];
  const depth = (round: number): string =>
    sortableId(firstMs + Math.round((0.05 + ((round * 0.618_034) % 0.9)) * (lastMs - firstMs)));
  const list = (filter: (round: number) => RunFilter, cursor?: (round: number) => string): Question => {
    return (catalogue, round) => listRuns(catalogue, filter(round), { limit, cursor: cursor?.(round) });
  };
  const some = (count: number, round: number): RunFilter => ({
    visible: { sources: sourceNames.slice((round * 13) % 5000, ((round * 13) % 5000) + count), repositories: [] },
  });
  return {
    'overview: newest snapshot and proofs of every source': (it) => knownSources(it),
    'overview, kept in memory': (it) => rememberedSources(it),
    'overview of one repository': (it, round) => knownSources(it, { repository: pick(repositoryNames, round) }),
    'last runs of every source, kept in memory': (it) => lastRuns(it),
    'runs: first page': list(() => ({})),
    'runs: page anywhere': list(() => ({}), depth),
    'runs: failed': list(() => ({ states: ['failed'] })),
    'runs: failed or missed, anywhere': list(() => ({ states: ['failed', 'missed'] }), depth),
    'runs: of a source': list((round) => ({ source: pick(sourceNames, round) })),
    'runs: drills of a source that failed': list((round) => ({
      source: pick(sourceNames, round),
      kinds: ['drill'],
      states: ['failed'],
    })),
    'runs: in a repository, failed': list((round) => ({
      repository: pick(repositoryNames, round),
      states: ['failed'],
    })),
    'runs: in a repository, anywhere': list((round) => ({ repository: pick(repositoryNames, round) }), depth),
    'runs: of a policy, cancelled': list((round) => ({ policy: pick(policyNames, round), states: ['cancelled'] })),
    'runs: checks': list(() => ({ kinds: ['check'] }), depth),
    'runs: of one day': list((round) => ({
      sinceMs: lastMs - ((round % 90) + 1) * dayMs,
      untilMs: lastMs - (round % 90) * dayMs,
    })),
    'runs: of one day, missed prunes': list((round) => ({
      kinds: ['prune'],
      states: ['missed'],
      sinceMs: lastMs - ((round % 90) + 1) * dayMs,
    })),
    'runs: nothing matches': list(() => ({ policy: 'none', states: ['succeeded'] })),
    'runs: who sees 20 sources': list((round) => some(20, round)),
    'runs: who sees 2,000 sources, anywhere': list((round) => some(2000, round), depth),
    'one run': async (it, round) =>
      await getRun(it, (await listRuns(it, {}, { limit: 1, cursor: depth(round) })).runs[0].id),
    'runs that may start': (it) => startableRuns(it, { limit: 100 }),
    'runs that run': (it) => runningRuns(it),
    'counts by state, all': (it) => countRuns(it),
    'counts by state, one day': (it) => countRuns(it, { sinceMs: lastMs - dayMs }),
    'counts by kind and state, one day': (it) => countRunsByKind(it, lastMs - dayMs),
    'queue figures': (it) => queueFigures(it),
    'events: first page': (it) => listHappenings(it, {}, { limit }),
    'events: errors, anywhere': (it, round) =>
      listHappenings(it, { severities: ['error'] }, { limit, cursor: depth(round) }),
    'events: of a source': (it, round) => listHappenings(it, { source: pick(sourceNames, round) }, { limit }),
    'snapshots: first page': (it) => listKnownSnapshots(it, {}, { limit }),
    'snapshots: of a source': (it, round) => listKnownSnapshots(it, { source: pick(sourceNames, round) }, { limit }),
    'snapshots: of a repository': (it, round) =>
      listKnownSnapshots(it, { repository: pick(repositoryNames, round) }, { limit }),
    'proofs: first page': (it) => listKnownProofs(it, {}, { limit }),
    'growth of a repository, a year': (it, round) =>
      growthByDay(it, { repository: pick(repositoryNames, round), sinceMs: lastMs - 365 * dayMs }),
    'newest sizes': (it) => newestSizes(it),
    'a run: queued, claimed, renewed, finished': writeRun(seeded),
    'a repository: one snapshot more': (it, round) =>
      changeRepository(it, pick(repositoryNames, round), {
        snapshots: { added: [snapshotOf(pick(sourceNames, round), lastMs + round)], removed: [] },
        proofs: { added: [], removed: [] },
        pins: new Set(),
      }),
  };
}

function writeRun({ sourceNames, repositoryNames, lastMs }: Seeded): Question {
  return async (catalogue, round) => {
    const source = sourceNames[round % sourceNames.length];
    const about = {
      kind: 'backup',
      source,
      repository: repositoryNames[0],
      host: 'local',
      trigger: 'schedule',
      askedBy: 'schedule',
    } as const;
    const run = await insertDueRun(catalogue, { ...about, slotMs: lastMs, slotKey: `bench ${performance.now()}` });
    const { fence } = (await claimRun(catalogue, { id: run!.id, worker: 'w', leaseMs: 60_000 }))!;
    await renewLease(catalogue, { id: run!.id, fence, leaseMs: 60_000 });
    const events = [{ type: 'backup.succeeded', title: 'done', source, facts: { durationMs: 1 } }] as const;
    await finishRun(catalogue, { id: run!.id, fence, outcome: { state: 'succeeded' }, events });
  };
}

async function ask(catalogue: Catalogue, seeded: Seeded, rounds: number): Promise<number> {
  let worst = 0;
  for (const [title, question] of Object.entries(questions(seeded))) {
    const first = await timed(() => question(catalogue, 0));
    const times: number[] = [];
    for (let round = 1; round <= rounds; round++) times.push(await timed(() => question(catalogue, round)));
    times.sort((a, b) => a - b);
    const [p50, p95, most] = [times[rounds >> 1], times[Math.ceil(rounds * 0.95) - 1], times[rounds - 1]];
    worst = Math.max(worst, p95);
    const figures = [p50, p95, most, first].map((ms) => ms.toFixed(1).padStart(8)).join('');
    console.log(`  ${title.padEnd(56)}${figures}`);
  }
  return worst;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function measure(
  title: string,
  address: CatalogueAddress,
  sizeOf: () => Promise<number> | number,
): Promise<void> {
  const nowMs = Date.now();
  const opened = await openCatalogue(address, Date.now);
  const start = performance.now();
  const seeded = await seedCatalogue(opened, { runs: Number(values.runs), sources: Number(values.sources), nowMs });
  await opened[Symbol.asyncDispose]();
  if (values['only-fill']) return;
  const sizeMiB = Math.round((await sizeOf()) / 2 ** 20);
  console.log(`\n${title}: filled in ${Math.round((performance.now() - start) / 1000)} s, ${sizeMiB} MiB`);
  for (const time of ['first', 'second']) {
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--open', JSON.stringify(address)], {
      encoding: 'utf8',
    });
    console.log(`  ${time} start: ${child.stdout.trim()}${child.stderr}`);
  }
  await using catalogue = await openCatalogue(address, Date.now);
  console.log(`  ${'ms'.padEnd(56)}     p50     p95     max   first`);
  const worst = await ask(catalogue, seeded, Number(values.rounds));
  console.log(
    `  worst p95: ${worst.toFixed(1)} ms; memory of this process ${memoryMiB('VmRSS')} MiB, first id ${firstIdOf(nowMs)}`,
  );
}

if (values.open !== undefined) {
  await measureOpening(JSON.parse(values.open));
} else if (values.at !== undefined) {
  const { at } = values;
  if (/^postgres(?:ql)?:/.test(at)) await measure('PostgreSQL', { kind: 'postgres', url: at }, () => 0);
  else await measure('SQLite', { kind: 'sqlite', path: at }, () => statSync(at).size);
} else {
  const kinds = values.kinds.split(',');
  if (kinds.includes('sqlite')) {
    const folder = mkdtempSync(join(values.place, 'holdfast-bench-catalogue-'));
    const path = join(folder, 'catalogue.db');
    try {
      await measure('SQLite', { kind: 'sqlite', path }, () => statSync(path).size);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  if (kinds.includes('postgres')) {
    await using server = await startPostgres({ options: { shared_buffers: '256MB', fsync: 'on' } });
    await server.run('postgres', 'CREATE DATABASE catalogue');
    console.log(execFileSync('/usr/lib/postgresql/15/bin/postgres', ['--version'], { encoding: 'utf8' }).trim());
    await measure('PostgreSQL', { kind: 'postgres', url: server.url('catalogue') }, async () => {
      return Number((await server.run('catalogue', "SELECT pg_database_size('catalogue')"))[0][0]);
    });
  }
}
