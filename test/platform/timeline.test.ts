/**
 * The daily timeline of the example homelab through simulated nights, against real servers: every backup, drill, prune and check
 * is really made; only the hours between are leapt over. The nights of the usual run are those around the change to summer time,
 * where 02:00 does not exist. `NIGHTS=31` is a month, with troubles (`npm run test:timeline`); `REPORT=FILE` keeps its report.
 */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { countRuns, nextStartMs } from '../../src/catalogue/run-list.ts';
import { reportText } from '../../src/cli/report-text.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { localPrincipal } from '../../src/model/principal.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { refreshAfter } from '../../src/operations/catalogue/refresh-repository.ts';
import { loadConfig } from '../../src/operations/configuration/configuration.ts';
import type { SourceAccess } from '../../src/operations/operation.ts';
import { type ReportOutput, report } from '../../src/operations/report/report.ts';
import { executeWith } from '../../src/operations/runs/execute-run.ts';
import { planRuns } from '../../src/operations/runs/plan-runs.ts';
import { nextDueMs } from '../../src/policy/due.ts';
import { nextFiring } from '../../src/policy/firing-times.ts';
import type { Schedule } from '../../src/policy/run-plan.ts';
import { startRuns } from '../../src/runs/start-runs.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { Trial } from '../e2e/trial.ts';
import { type Homelab, startHomelab } from '../servers/homelab.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { LeapingClock } from './leaping-clock.ts';

const nights = Number(process.env.NIGHTS ?? 1);
const timezone = 'Europe/Madrid';
/** The month of the change to summer time; the last of its Sundays is the night of the usual run. */
const lastNightMs = Date.parse('2026-03-29T00:00:00+01:00');
const startMs = nights === 1 ? lastNightMs : Date.parse('2026-03-01T00:00:00+01:00');
const dayMs = 86_400_000;

let homelab: Homelab;
let catalogue: Catalogue;
let access: SourceAccess;
const clock = new LeapingClock(startMs);
const trial = new Trial();

beforeAll(async () => {
  homelab = await startHomelab();
  process.env.HOLDFAST_STATE = join(homelab.folder, 'state');
  for (const name of ['nas', 'drive']) await initCheaply(join(homelab.folder, name), 'a homelab');
  const config = await loadConfig(homelab.configFile, { drivers, storageKinds, hostKinds, channelKinds });
  const host = localHost();
  const parts = { drivers, storageKinds, hostKinds, channelKinds, openContainers: async () => undefined };
  access = { config, ...parts, localHost: () => host, env: process.env };
  catalogue = await openCatalogue({ kind: 'sqlite', path: join(homelab.folder, 'catalogue.db') }, () => clock.nowMs());
});
afterAll(async () => {
  await catalogue?.[Symbol.asyncDispose]();
  await homelab?.[Symbol.asyncDispose]();
  trial.dispose();
  delete process.env.HOLDFAST_STATE;
});

/** Runs what is due until an instant, as a server does that is started now and stopped then. */
async function serveUntil(endMs: number): Promise<void> {
  const plan = planRuns(access.config);
  const execute = executeWith(() => access);
  const signal = new AbortController().signal;
  const runs = startRuns({
    ...{ catalogue, clock, log: pino({ level: 'silent' }), plan: () => plan, capacity: 2 },
    name: `server ${clock.nowMs()}`,
    execute: async (run, uses) => {
      const performed = await execute(run, uses);
      await refreshAfter(catalogue, run, { ...access, ...uses, signal, report: () => undefined });
      return performed;
    },
  });
  try {
    while (clock.nowMs() < endMs) {
      // In real time: the simulated one leaps.
      await new Promise((resolve) => setTimeout(resolve, 50));
      const counts = await countRuns(catalogue);
      if (counts.running > 0) continue;
      const startsMs = counts.queued > 0 ? await nextStartMs(catalogue) : undefined;
      if (startsMs !== undefined && startsMs <= clock.nowMs()) continue;
      const dueMs = nextDueMs(plan.schedules, clock.nowMs()) ?? endMs;
      const nextMs = Math.min(startsMs ?? dueMs, dueMs, endMs);
      // One that began meanwhile would lose its lease by a leap.
      if ((await countRuns(catalogue)).running > 0) continue;
      clock.leapTo(nextMs);
      if (nextMs === dueMs) await queuedFor(dueMs, plan.schedules);
    }
  } finally {
    await runs.stop(60_000);
  }
}

/** The scheduler has seen that a time came. */
async function queuedFor(slotMs: number, schedules: readonly Schedule[]): Promise<void> {
  const due = schedules.filter(({ timing }) => nextFiring(timing, slotMs - 1) === slotMs).length;
  await expect
    .poll(
      async () => (await catalogue.db.selectFrom('run').select('id').where('slotMs', '=', slotMs).execute()).length,
      {
        timeout: 60_000,
      },
    )
    .toBeGreaterThanOrEqual(due);
}

async function reportOn(untilMs: number): Promise<ReportOutput> {
  const execution = { clock, signal: new AbortController().signal, report: () => undefined };
  const uses = { ...access, ...execution, catalogue, principal: localPrincipal('test') };
  const [since, until] = [startMs, untilMs].map((ms) => new Date(ms).toISOString());
  return await report.run({ since, until, timezone }, uses);
}

function daysOf({ rows }: ReportOutput, kind: string, name: string): string | undefined {
  return rows.find((row) => row.kind === kind && (row.source ?? row.repository) === name)?.days;
}

test.runIf(nights === 1)('the night in which the clock is put forward has all of its runs, once', async () => {
  await serveUntil(lastNightMs + dayMs / 2);
  const seen = await reportOn(lastNightMs + dayMs / 2);
  expect(seen.troubles).toEqual([]);
  expect(seen.total).toMatchObject({ failed: 0, missed: 0, cancelled: 0 });
  const backups = seen.rows.filter((row) => row.kind === 'backup');
  expect(backups.map((row) => [row.source, row.counts.succeeded])).toEqual(
    homelab.sources.toSorted((a, b) => a.localeCompare(b)).map((name) => [name, 1]),
  );
  const drills = seen.rows.filter((row) => row.kind === 'drill').map((row) => row.source);
  expect(drills).toEqual(backups.map((row) => row.source).filter((name) => !name?.endsWith('-config')));
  expect(daysOf(seen, 'prune', 'nas')).toBe('+');
  expect(daysOf(seen, 'check', 'nas')).toBeUndefined();
  checkRepositories();
});

test.runIf(nights > 1)(
  'a month has all of its runs, and its troubles are told',
  { timeout: 4 * 3_600_000 },
  async () => {
    const at = (day: number, hour = 12): number => startMs + (day - 1) * dayMs + hour * 3_600_000;
    // From the 10th to the 12th nothing runs; on the 16th a database is not where it was.
    await serveUntil(at(Math.min(10, nights)));
    if (nights > 12) {
      clock.leapTo(at(13));
      await serveUntil(at(15));
    }
    const database = access.config.sources.get('forgejo')!.settings as { path: string };
    if (nights > 16) {
      renameSync(database.path, `${database.path}.away`);
      await serveUntil(at(16));
      renameSync(`${database.path}.away`, database.path);
    }
    await serveUntil(at(nights));
    // In April the month's check is due, at seven on the first.
    await serveUntil(at(nights + 1));
    const seen = await reportOn(at(nights + 1));
    if (process.env.REPORT !== undefined) writeFileSync(process.env.REPORT, `${reportText(seen)}\n`);
    expect(seen.troubles.filter((one) => one.madeGood === undefined)).toEqual([]);
    const open = await countRuns(catalogue);
    expect([open.queued, open.running]).toEqual([0, 0]);
    checkRepositories();
    await checkRetention();
  },
);

/** Its rules are those of today's restic; Debian's is older. */
function restic(repository: string, ...args: readonly string[]): string {
  const env = { ...process.env, RESTIC_PASSWORD: 'a homelab', RESTIC_CACHE_DIR: join(homelab.folder, 'cache') };
  const all = ['-r', join(homelab.folder, repository), ...args];
  return execFileSync('restic-new', all, { env, stdio: 'pipe', maxBuffer: 1 << 28 }).toString();
}

function checkRepositories(): void {
  for (const repository of ['nas', 'drive']) restic(repository, 'check', '--read-data');
}

/**
 * What is kept is what restic would keep by the same rules, and the newest proven snapshot, which may be an older one where
 * drills take any: restic has nothing else to remove, and the newest are there.
 */
async function checkRetention(): Promise<void> {
  const rules = ['--keep-last=3', '--keep-daily=7', '--keep-weekly=4', '--keep-monthly=12'];
  for (const source of homelab.sources) {
    const tag = ['--tag', `source:${source}`, '--group-by', ''];
    const [group] = JSON.parse(restic('nas', 'forget', '--dry-run', '--json', ...rules, ...tag)) as [
      { keep: unknown[] | null; remove: { readonly id: string; readonly time: string }[] | null },
    ];
    const proven = await newestProven(source);
    const removed = (group.remove ?? []).filter(({ id }) => id !== proven);
    expect([source, removed.map(({ time }) => time)]).toEqual([source, []]);
    expect(group.keep?.length).toBeGreaterThan(Math.min(nights, 7) - 1);
  }
}

/** Of all snapshots of a source in the first repository that passed a drill. */
async function newestProven(source: string): Promise<string | undefined> {
  const found = await catalogue.db
    .selectFrom('proof')
    .innerJoin('snapshot', (join) =>
      join.onRef('snapshot.id', '=', 'proof.snapshot').onRef('snapshot.repository', '=', 'proof.repository'),
    )
    .where('proof.repository', '=', 'nas')
    .where('proof.source', '=', source)
    .where('proof.verdict', '=', 'passed')
    .orderBy('snapshot.timeMs', 'desc')
    .select('proof.snapshot')
    .executeTakeFirst();
  return found?.snapshot;
}
