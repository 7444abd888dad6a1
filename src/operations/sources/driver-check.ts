/** Try out a driver on a declared source: the cases every driver passes in the tests that only read. */
import { z } from 'zod';
import { checkDriver } from '../../drivers/check.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { caseView, viewCase } from '../repositories/check-view.ts';
import { openDriverBench } from './driver-bench.ts';
import { HostPool } from './host-pool.ts';
import { contextOf, driverNamed, sourceEntry } from './source-access.ts';

const input = z.object({
  source: z.string(),
  /** Where the suite's repository and copies are made; needs room for the source twice. */
  place: z.string().optional(),
});
const output = z.object({ source: z.string(), driver: z.string(), ok: z.boolean(), cases: z.array(caseView) });
export type DriverCheckOutput = z.infer<typeof output>;

/** Backs the source up several times into a repository that is removed afterwards, and drills it. Touches nothing else. */
export const driverCheck = operation({
  name: 'driver check',
  permission: 'operator',
  input,
  output,
  run: async (
    { source: name, place }: z.infer<typeof input>,
    uses: SourceAccess & Execution,
  ): Promise<DriverCheckOutput> => {
    const entry = sourceEntry(uses.config, name);
    const driver = driverNamed(uses.drivers, entry.driver);
    await using hosts = new HostPool(uses);
    const source = await contextOf(entry, { ...uses, hosts });
    await using bench = await openDriverBench({ driver, storageKinds: uses.storageKinds, clock: uses.clock, place });
    let done = 0;
    const containers = await uses.openContainers();
    await using closing = new AsyncDisposableStack();
    closing.defer(async () => await containers?.close());
    const results = await checkDriver({ driver, source, bench, containers }, (result) => {
      done++;
      uses.report({ type: 'progress', stage: 'check', subject: result.id, bytesDone: 0, itemsDone: done });
    });
    return { source: name, driver: driver.name, ok: results.every((one) => one.passed), cases: results.map(viewCase) };
  },
});
