/** Try out a place to store: the same cases that every storage passes in the tests. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { expandPath } from '../../config/index.ts';
import { runStorageConformance, storageCases } from '../../storage/check.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { caseView, viewCase } from './check-view.ts';
import { storageOf } from './repository-access.ts';

const input = z.object({ url: z.string() });
const output = z.object({
  location: z.string(),
  ok: z.boolean(),
  cases: z.array(caseView),
});
export type StorageCheckOutput = z.infer<typeof output>;

/** `url` may be the name of a declared repository. Stores about 70 MiB in passing, in a folder of its own. */
export const storageCheck = operation({
  name: 'storage check',
  permission: 'admin',
  input,
  output,
  run: async ({ url }: z.infer<typeof input>, uses: RepositoryAccess & Execution): Promise<StorageCheckOutput> => {
    const declared = uses.config.repositories.get(url);
    const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(url);
    const place = declared ?? { url: isPath ? expandPath(url, process.cwd()) : url };
    const open = () => storageOf(place, uses, declared === undefined);
    const first = await open();
    const { location } = first;
    await first.close();
    let done = 0;
    const results = await runStorageConformance(
      { open, prefix: `holdfast/check-${randomBytes(6).toString('hex')}`, clock: uses.clock },
      (result) => {
        uses.signal.throwIfAborted();
        done++;
        const total = { bytesDone: 0, itemsDone: done, itemsTotal: storageCases.length };
        uses.report({ type: 'progress', stage: 'check', subject: result.id, ...total });
      },
    );
    return {
      location,
      ok: results.every((one) => one.passed),
      cases: results.map(viewCase),
    };
  },
});
