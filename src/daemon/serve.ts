/**
 * `holdfast serve`: everything that runs day and night, put together, and taken apart again in order:
 *
 *     catalogue → configuration → what goes on beside requests → runs → HTTP
 *
 * When it is told to stop, HTTP goes first: no new requests, streams end, those under way get a while. Then runs get
 * theirs, and are stopped in order; then the rest.
 */
import { createApp } from '../api/app.ts';
import type { ApiParts } from '../api/parts.ts';
import { type AuthUses, openSetUp, tidyAuth } from '../auth/index.ts';
import { createLog, type Log } from '../base/log.ts';
import { programVersion } from '../base/version.ts';
import { newestHappening, recordHappening } from '../catalogue/happenings.ts';
import { type Catalogue, openCatalogue } from '../catalogue/open.ts';
import { silent } from '../model/run.ts';
import type { AnyChannelKind } from '../notify/channel.ts';
import { refreshAll } from '../operations/catalogue/keep-current.ts';
import { renderMetrics } from '../operations/metrics/render.ts';
import { catalogueAddress } from '../operations/open-catalogue.ts';
import type { Execution, SourceAccess } from '../operations/operation.ts';
import { startRunsHere } from '../operations/runs/runs-here.ts';
import { rememberOverview } from '../operations/status/from-catalogue.ts';
import type { Runs } from '../runs/start-runs.ts';
import { type GateHere, type GateHereOptions, openGateHere } from './agents/gate-here.ts';
import { Background } from './background.ts';
import { listen } from './http-server.ts';
import { parseListenAddress } from './listen-address.ts';
import { type LiveConfiguration, openConfiguration } from './live-configuration.ts';
import { logEvents } from './log-events.ts';
import { withMcp } from './mcp-endpoint.ts';
import { keepTextfile } from './metrics-textfile.ts';
import { notify } from './notifications.ts';
import { secretReader } from './read-secrets.ts';
import { readinessOf } from './readiness.ts';
import { reloadOnSignal } from './reload-on-signal.ts';

export interface ServeRequest {
  readonly uses: SourceAccess & Execution;
  /** `HOST:PORT` instead of what the configuration says. */
  readonly listen?: string;
  readonly logLevel: string;
  /** A line for the person who started it. */
  readonly say: (text: string) => void;
  readonly channelKinds: readonly AnyChannelKind[];
}

/** How long requests under way may take when the server stops. */
const graceMs = 10_000;
/** And runs, before they are stopped in order: a minute less than the units in deploy/ give the whole. */
const patienceMs = 9 * 60_000;
const mostBodyBytes = 1 << 20;
const tidyEveryMs = 3_600_000;
const lookEveryMs = 900_000;
const overviewEveryMs = 60_000;

/** Runs until the signal of `uses` is aborted, then ends in order. Throws if it cannot start. */
export async function serve(request: ServeRequest): Promise<void> {
  const { uses, say } = request;
  const { clock, signal } = uses;
  const log = createLog({ level: request.logLevel });
  const closing = new AbortController();
  await using catalogue = await openCatalogue(await catalogueAddress(uses), () => clock.nowMs());
  const before = await newestHappening(catalogue);
  const configuration = await openConfiguration({ uses, catalogue, log });
  const { access } = configuration;
  const parts = { clock, catalogue, log };
  // Runs end by `stop`, not by the signal that asks the server to: they get a while.
  const execution = { clock, signal: new AbortController().signal };
  const api = await apiParts({ ...parts, configuration, closing: closing.signal });
  const app = withMcp(createApp(api), api);
  const settings = { ...access().config.server, ...listenOf(request) };
  await using http = await listen({ app, settings, clock, log, secret: secretReader({ ...access(), signal }) });
  const started = Promise.withResolvers<Runs>();
  await using agents = await openAgents({ ...parts, access, runs: started.promise });
  await using runs = await startRunsHere({ catalogue, log, execution, access, elsewhere: agents?.elsewhere });
  started.resolve(runs);
  const background = startBackground(request, { ...parts, configuration, before });
  say(`Holdfast ${programVersion} listens on ${http.url}`);
  await tellSetUp(parts, (settings.url ?? http.url).replace(/\/$/, ''), say);
  log.info({ url: http.url, catalogue: catalogue.title, version: programVersion }, 'started');
  await recordHappening(catalogue, {
    type: 'server.started',
    title: `Holdfast ${programVersion} was started`,
    facts: {},
  });
  await aborted(signal);
  log.info('stopping');
  closing.abort();
  await http.close(graceMs);
  await runs.stop(patienceMs);
  await background.stop();
  log.info('stopped');
}

/** `undefined` where the configuration lets none in. */
async function openAgents(options: Omit<GateHereOptions, 'settings'>): Promise<GateHere | undefined> {
  const settings = options.access().config.server.agents;
  return settings && (await openGateHere({ ...options, settings }));
}

function listenOf({ listen: given }: ServeRequest) {
  return given === undefined ? {} : { listen: parseListenAddress(given) };
}

interface Together {
  readonly clock: Execution['clock'];
  readonly catalogue: Catalogue;
  readonly log: Log;
  readonly configuration: LiveConfiguration;
}

async function apiParts({ configuration, closing, ...parts }: Together & { closing: AbortSignal }): Promise<ApiParts> {
  const server = () => configuration.access().config.server;
  return {
    ...parts,
    access: configuration.access,
    sealing: await configuration.store.sealing(),
    oidc: configuration.oidc,
    readiness: () => readinessOf(parts.catalogue, closing, parts.log),
    renderMetrics,
    stopping: closing,
    settings: {
      get url() {
        return server().url;
      },
      get trustedProxies() {
        return server().trustedProxies;
      },
      get openMetrics() {
        return server().metrics.open;
      },
      mostBodyBytes,
    },
  };
}

function startBackground(
  { channelKinds }: ServeRequest,
  { configuration, before, ...parts }: Together & { readonly before: string },
): Background {
  const { access, store } = configuration;
  const background = new Background(parts);
  background.add('log of what went wrong', logEvents(parts, before));
  background.add('configuration', (signal) => store.follow(signal));
  background.add('reload', (signal) => reloadOnSignal(store, parts.log, signal));
  background.add('notifications', (signal) => notify({ ...parts, access, kinds: channelKinds }, signal));
  background.add('metrics textfile', (signal) =>
    keepTextfile({
      ...parts,
      signal,
      file: () => access().config.server.metrics.textfile,
      uses: () => ({ ...parts, ...access(), signal, report: silent }),
    }),
  );
  background.add('repositories', async (signal) => {
    while (!signal.aborted) {
      await refreshAll({ ...parts, access }, { clock: parts.clock, signal });
      await parts.clock.sleep(lookEveryMs, { signal, background: true });
    }
  });
  background.every('overview', overviewEveryMs, () => rememberOverview(parts.catalogue));
  background.every('tidying', tidyEveryMs, () => tidyAuth({}, parts));
  return background;
}

/** Goes to the terminal or the journal of who runs the server, and nowhere else. */
async function tellSetUp(uses: AuthUses, url: string, say: ServeRequest['say']): Promise<void> {
  const code = await openSetUp(uses);
  if (code === undefined) return;
  say(
    [
      'Nobody may use this server yet. Become its owner on this machine with: holdfast user add NAME --role owner',
      `or from elsewhere, by a POST to ${url}/api/set-up (see docs/sign-in.md) with the set-up code ${code.reveal()}`,
    ].join('\n'),
  );
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
