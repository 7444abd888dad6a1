/** A worker for `bench/runs.ts`, whose runs only wait: `node runs-worker.ts URL CAPACITY RUN_MS`. */
import { systemClock } from '../src/base/clock.ts';
import { createLog } from '../src/base/log.ts';
import { openCatalogue } from '../src/catalogue/open.ts';
import { emptyConfig } from '../src/config/index.ts';
import { planRuns } from '../src/operations/runs/plan-runs.ts';
import { openPgBossQueue } from '../src/runs/queue/pg-boss-queue.ts';
import { startRuns } from '../src/runs/start-runs.ts';

const [url, capacity, runMs] = process.argv.slice(2);
const log = createLog({ level: 'warn' });
await using catalogue = await openCatalogue({ kind: 'postgres', url }, () => Date.now());
await using queue = await openPgBossQueue({ url, clock: systemClock, log });
const plan = { ...planRuns(emptyConfig('/none')), limits: { runs: 64, perHost: 64, perRepository: 64 } };
const runs = startRuns({
  ...{ catalogue, queue, log, clock: systemClock },
  name: `bench:${process.pid}`,
  plan: () => plan,
  capacity: Number(capacity),
  async execute(_run, { clock, report, signal }) {
    report({ type: 'stage', stage: 'wait' });
    await clock.sleep(Number(runMs), { signal });
    return { ok: true };
  },
});
process.stdout.write('ready\n');
await new Promise((resolve) => process.once('SIGTERM', resolve));
await runs.stop(10_000);
