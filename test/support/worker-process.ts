/** A worker as its own process: `node worker-process.ts CONFIG CAPACITY LEASE_MS`. Says «ready»; ends in order on SIGTERM. */
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { openCatalogue } from '../../src/catalogue/open.ts';
import { loadConfig } from '../../src/config/index.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost, openContainerEngine } from '../../src/hosts/registry.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { catalogueAddress } from '../../src/operations/open-catalogue.ts';
import { startRunsHere } from '../../src/operations/runs/runs-here.ts';
import { repairLeftWindows } from '../../src/operations/sources/left-windows.ts';
import { storageKinds } from '../../src/storage/registry.ts';

const [file, capacity, leaseMs] = process.argv.slice(2);
const known = { drivers, storageKinds, hostKinds, channelKinds };
const config = await loadConfig(file, known);
const host = localHost();
const access = { config, ...known, env: process.env, localHost: () => host, openContainers: openContainerEngine };
const execution = { clock: systemClock, signal: new AbortController().signal };
await repairLeftWindows({ ...access, ...execution, report: () => undefined });
await using catalogue = await openCatalogue(await catalogueAddress({ ...access, ...execution }), () => Date.now());
const log = createLog({ level: 'warn' });
await using runs = await startRunsHere({
  ...{ catalogue, execution, log },
  access: () => access,
  capacity: Number(capacity),
  leaseMs: Number(leaseMs),
});
process.stdout.write('ready\n');
await new Promise((resolve) => process.once('SIGTERM', resolve));
await runs.stop(15_000);
process.stdout.write('stopped\n');
