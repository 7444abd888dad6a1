/** A repository of the driver suite's own, in a private directory that goes with it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { Secret } from '../../base/secrets.ts';
import type { Bench } from '../../drivers/check.ts';
import type { AnyDriver } from '../../drivers/driver.ts';
import { backup } from '../../engine/backup.ts';
import { openContents } from '../../engine/open-contents.ts';
import { silent } from '../../model/run.ts';
import { isState } from '../../model/snapshot.ts';
import { initRepository, listSnapshots } from '../../repository/index.ts';
import { openStorage } from '../../storage/open.ts';
import type { AnyStorageKind } from '../../storage/storage.ts';

/** Room: the source twice (its snapshots and one restored copy) in `place`. */
export async function openDriverBench(options: {
  readonly driver: AnyDriver;
  readonly storageKinds: readonly AnyStorageKind[];
  readonly clock: Clock;
  readonly place?: string;
}): Promise<Bench & AsyncDisposable> {
  const { driver, storageKinds, clock, place = tmpdir() } = options;
  const folder = await mkdtemp(join(place, 'holdfast-check-'));
  const folders = [folder];
  const remove = async (): Promise<void> => {
    for (const one of folders) await rm(one, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const storage = await openStorage(storageKinds, join(folder, 'repository'), { create: true });
    // Its password is no secret: nothing is gained by a key that is dear to derive.
    const kdf = { N: 1024, r: 8, p: 1 };
    const repository = await initRepository({ storage, password: new Secret('check'), clock, kdf });
    return {
      async backUp(source) {
        const { snapshot, summary, unreadable } = await backup({ repository, driver, source, runId: 'check' });
        const { local: host, signal } = source;
        return {
          bytes: summary.totalBytesProcessed ?? 0,
          addedBytes: summary.dataAddedPacked ?? 0,
          unreadable,
          open: () => openContents({ repository, snapshot, host, report: silent, signal }),
        };
      },
      countSnapshots: async () => (await listSnapshots(repository)).filter((one) => !isState(one)).length,
      // Not below the private one: a copy's server may have to run as another user.
      async directory() {
        const copy = await mkdtemp(join(place, 'holdfast-check-copy-'));
        folders.push(copy);
        return copy;
      },
      async [Symbol.asyncDispose]() {
        await repository.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
