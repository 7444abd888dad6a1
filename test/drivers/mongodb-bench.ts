/** What tests of the mongodb driver start from: servers, a repository, and a folder for temporary files of their own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { RestoreRequest, SourceContext } from '../../src/drivers/driver.ts';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { type Settings, settings } from '../../src/drivers/mongodb/settings.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';

export const host = localHost();
export const clear = (text: string) => ({ from: 'clear' as const, secret: new Secret(text) });

export function sourceAt(
  given: object,
  more: { host?: Host } & Partial<SourceContext<Settings>> = {},
): SourceContext<Settings> {
  return unattended({ name: 'trial', settings: settings.parse(given), host, local: host, ...more });
}

export interface MongoBench extends AsyncDisposable {
  readonly bench: Bench;
  readonly folder: string;
  /** Backs a source up and restores what was stored, into the server of a URL or as the request says. */
  restore(source: SourceContext<Settings>, request: Partial<RestoreRequest>): Promise<readonly string[]>;
}

export async function openBench(): Promise<MongoBench> {
  const folder = mkdtempSync(join(tmpdir(), 'mongo-trial-'));
  process.env.TMPDIR = folder;
  const bench = await openDriverBench({ driver: mongodb, storageKinds, clock: systemClock });
  return {
    bench,
    folder,
    async restore(source, request) {
      await using stored = await (await bench.backUp(source)).open();
      const whole = { host, dryRun: false, overwrite: false, ...request };
      return (await mongodb.restore(source, stored.contents, whole)).steps;
    },
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
