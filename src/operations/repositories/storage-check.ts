/** Try out a place to store: the same cases that every storage passes in the tests. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { expandPath } from '../../config/index.ts';
import { runStorageConformance, storageCases } from '../../storage/check.ts';
import type { Storage } from '../../storage/storage.ts';
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

/**
 * `url` may be the name of a declared repository. Stores about 70 MiB in passing, in a folder of its own, and removes it.
 * `storage.not-found` if the place is missing: making it would vouch for the wrong disk where one is not mounted. Only of a
 * place on a REST server that cannot be known; there the server makes it.
 */
export const storageCheck = operation({
  name: 'storage check',
  permission: 'admin',
  input,
  output,
  run: async ({ url }: z.infer<typeof input>, uses: RepositoryAccess & Execution): Promise<StorageCheckOutput> => {
    const declared = uses.config.repositories.get(url);
    const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(url);
    const place = declared ?? { url: isPath ? expandPath(url, process.cwd()) : url };
    const open = () => storageOf(place, uses, false);
    const prefix = `holdfast-check-${randomBytes(6).toString('hex')}`;
    const location = await requirePlace(open, prefix);
    let done = 0;
    const results = await runStorageConformance({ open, prefix, clock: uses.clock }, (result) => {
      uses.signal.throwIfAborted();
      done++;
      const total = { bytesDone: 0, itemsDone: done, itemsTotal: storageCases.length };
      uses.report({ type: 'progress', stage: 'check', subject: result.id, ...total });
    });
    return {
      location,
      ok: results.every((one) => one.passed),
      cases: results.map(viewCase),
    };
  },
});

/** Asks for something that is not there, so that who knows the place says so if that is missing itself. Gives its name. */
async function requirePlace(open: () => Promise<Storage>, prefix: string): Promise<string> {
  try {
    const storage = await open();
    try {
      await storage.requirePlace?.();
      for await (const { name } of storage.list(prefix)) throw occupied(name);
    } finally {
      await storage.close();
    }
    return storage.location;
  } catch (error) {
    if (!hasCode(error, 'storage.not-found')) throw error;
    throw new HoldfastError({
      code: 'storage.not-found',
      message: error.message,
      remedy:
        'If it should be there: connect and mount the disk or NAS that holds it, or correct the address. A check makes no place: for a new one, make the directory or bucket first (mkdir -p, rclone mkdir), or run holdfast repo init NAME.',
      cause: error,
    });
  }
}

function occupied(name: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.exists',
    message: `there is ${name} already, in a folder that was to be new`,
    remedy: 'Run it again: it takes another name.',
  });
}
