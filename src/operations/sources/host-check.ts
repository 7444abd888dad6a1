/** Try out a declared host: the same cases that every kind of host passes in the tests. */
import { z } from 'zod';
import { checkHost, hostCases } from '../../hosts/check.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { caseView, viewCase } from '../repositories/check-view.ts';
import { HostPool } from './host-pool.ts';

const input = z.object({ host: z.string() });
const output = z.object({
  host: z.string(),
  hostname: z.string(),
  limits: z.array(z.string()),
  ok: z.boolean(),
  cases: z.array(caseView),
});
export type HostCheckOutput = z.infer<typeof output>;

/** Starts small programs there and writes some MiB into a temporary directory, which is removed. */
export const hostCheck = operation({
  name: 'host check',
  permission: 'operator',
  input,
  output,
  run: async ({ host: name }: z.infer<typeof input>, uses: SourceAccess & Execution): Promise<HostCheckOutput> => {
    await using hosts = new HostPool(uses);
    const host = await hosts.get(name);
    let done = 0;
    const results = await checkHost(host, uses, (result) => {
      done++;
      const total = { bytesDone: 0, itemsDone: done, itemsTotal: hostCases.length };
      uses.report({ type: 'progress', stage: 'check', subject: result.id, ...total });
    });
    const ok = results.every((one) => one.passed);
    return { host: name, hostname: host.hostname, limits: [...(host.limits ?? [])], ok, cases: results.map(viewCase) };
  },
});
