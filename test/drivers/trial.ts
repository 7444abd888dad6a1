/**
 * Runs the suite every driver must pass, one vitest case each, against a source that belongs to the test. With
 * CONFORMANCE_RESULTS=FOLDER what was found is also written there, for the table in the documentation. With EXACT_RUNS=50 the
 * proofs that hang on chance are made that often: copies under writers are exact, and a changed copy fails its drill.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { type Bench, driverCases, type Trial } from '../../src/drivers/check.ts';
import type { AnyDriver, SourceContext } from '../../src/drivers/driver.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';

const runs = Number(process.env.EXACT_RUNS ?? 1);
const chancy = new Set(['exact-under-writers', 'changed-value']);

/** A running source with data in it. */
export interface DriverTrial extends AsyncDisposable {
  readonly driver: AnyDriver;
  /** The server as it says itself: `PostgreSQL 15.18`. */
  readonly server: string;
  readonly source: SourceContext<unknown>;
  readonly trial: Trial;
}

/** What the table is made of. */
export interface SuiteResult {
  readonly title: string;
  readonly driver: string;
  readonly server: string;
  readonly passed: readonly string[];
}

/** `title` is unique among all suites; `open` starts the server. */
export function describeDriver(title: string, open: () => Promise<DriverTrial>): void {
  describe(title, () => {
    let opened: DriverTrial;
    let bench: Bench & AsyncDisposable;
    const passed: string[] = [];
    beforeAll(async () => {
      opened = await open();
      bench = await openDriverBench({ driver: opened.driver, storageKinds, clock: systemClock });
    });
    afterAll(async () => {
      record({ title, driver: opened?.driver.name, server: opened?.server, passed });
      await bench?.[Symbol.asyncDispose]();
      await opened?.[Symbol.asyncDispose]();
    });
    test.each(driverCases)('$why', async ({ id, run }) => {
      const { driver, source, trial } = opened;
      const times = chancy.has(id) ? runs : 1;
      for (let made = 0; made < times; made++) await run({ driver, source, bench, trial });
      if (times > 1) console.log(`${title}: ${id}, ${times} of ${times}`);
      passed.push(id);
    });
  });
}

function record(result: SuiteResult): void {
  const folder = process.env.CONFORMANCE_RESULTS;
  if (folder) writeFileSync(join(folder, `${encodeURIComponent(result.title)}.json`), JSON.stringify(result));
}
