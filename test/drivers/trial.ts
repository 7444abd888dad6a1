/** Runs the suite every driver must pass, one vitest case each, against a source that belongs to the test. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { type Bench, driverCases, type Trial } from '../../src/drivers/check.ts';
import type { AnyDriver, SourceContext } from '../../src/drivers/driver.ts';
import { openDriverBench } from '../../src/operations/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';

/** A running source with data in it. */
export interface DriverTrial extends AsyncDisposable {
  readonly driver: AnyDriver;
  readonly source: SourceContext<unknown>;
  readonly trial: Trial;
}

/** `title` names the server and its version; `open` starts it. */
export function describeDriver(title: string, open: () => Promise<DriverTrial>): void {
  describe(title, () => {
    let opened: DriverTrial;
    let bench: Bench & AsyncDisposable;
    beforeAll(async () => {
      opened = await open();
      bench = await openDriverBench({ driver: opened.driver, storageKinds, clock: systemClock });
    });
    afterAll(async () => {
      await bench?.[Symbol.asyncDispose]();
      await opened?.[Symbol.asyncDispose]();
    });
    test.each(driverCases)('$why', async ({ run }) => {
      const { driver, source, trial } = opened;
      await expect(run({ driver, source, bench, trial })).resolves.toBeUndefined();
    });
  });
}
