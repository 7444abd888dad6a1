/**
 * A server that lets agents in, or an agent, as its own process, with shorter times than a person would want:
 * `node agent-process.ts server CONFIG LEASE_MS PORT NAME` or `node agent-process.ts agent`. Says «ready»; ends in order on SIGTERM.
 */
import { runAgent } from '../../src/agent/run-agent.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { stateDirectory } from '../../src/base/state-directory.ts';
import { openCatalogue } from '../../src/catalogue/open.ts';
import { loadConfig } from '../../src/config/index.ts';
import { openGateHere } from '../../src/daemon/agents/gate-here.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost, openContainerEngine } from '../../src/hosts/registry.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { catalogueAddress } from '../../src/operations/open-catalogue.ts';
import { startRunsHere } from '../../src/operations/runs/runs-here.ts';
import type { Runs } from '../../src/runs/start-runs.ts';
import { storageKinds } from '../../src/storage/registry.ts';

const host = localHost();
const known = { drivers, storageKinds, hostKinds, channelKinds };
const parts = { ...known, localHost: () => host, openContainers: openContainerEngine };
const link = { heartbeatMs: 500, silenceMs: 2500 };
const log = createLog({ level: 'info' });
const clock = systemClock;

async function serve([file, leaseMs, port, address]: readonly string[]): Promise<void> {
  const access = { config: await loadConfig(file, known), ...parts, env: process.env };
  const execution = { clock, signal: new AbortController().signal };
  await using catalogue = await openCatalogue(await catalogueAddress({ ...access, ...execution }), () => Date.now());
  const started = Promise.withResolvers<Runs>();
  await using gate = await openGateHere({
    ...{ catalogue, clock, log, access: () => access, runs: started.promise },
    settings: { listen: { host: '0.0.0.0', port: Number(port) }, names: [address] },
    timing: { link, desk: { awayMs: 5000, goneMs: 20_000, endMs: 3000 } },
  });
  const { elsewhere } = gate;
  const here = { catalogue, execution, log, elsewhere, access: () => access, capacity: 3, leaseMs: Number(leaseMs) };
  await using runs = await startRunsHere(here);
  started.resolve(runs);
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  await runs.stop(15_000);
  process.stdout.write('stopped\n');
}

async function performFor(): Promise<void> {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  process.stdout.write('ready\n');
  const { env } = process;
  await runAgent({ parts, stateDirectory: stateDirectory(env), env, clock, signal: stop.signal, log, timing: link });
  process.stdout.write('stopped\n');
}

const [role, ...rest] = process.argv.slice(2);
await (role === 'server' ? serve(rest) : performFor());
