/**
 * `holdfast serve`: everything that runs day and night, put together, and taken apart again in order:
 *
 *     catalogue → what works behind the scenes (schedules, runs, notifications, …) → HTTP
 *
 * When it is told to stop, HTTP goes first: no new requests, streams end, those under way get a while. Then runs do.
 */
import { createApp } from '../api/app.ts';
import type { ApiParts } from '../api/parts.ts';
import { type AuthUses, openSetUp } from '../auth/index.ts';
import { createLog } from '../base/log.ts';
import { programVersion } from '../base/version.ts';
import { openCatalogue } from '../catalogue/open.ts';
import { openSealing } from '../operations/configuration/sealing.ts';
import { renderMetrics } from '../operations/metrics/render.ts';
import { catalogueAddress } from '../operations/open-catalogue.ts';
import type { Execution, SourceAccess } from '../operations/operation.ts';
import { listen } from './http-server.ts';
import { oidcProvider } from './identities.ts';
import { parseListenAddress } from './listen-address.ts';
import { keepTextfile } from './metrics-textfile.ts';
import { secretReader } from './read-secrets.ts';
import { readinessOf } from './readiness.ts';

export interface ServeRequest {
  readonly uses: SourceAccess & Execution;
  /** `HOST:PORT` instead of what the configuration says. */
  readonly listen?: string;
  readonly logLevel: string;
  /** A line for the person who started it. */
  readonly say: (text: string) => void;
}

/** How long requests under way may take when the server stops. */
const graceMs = 10_000;
const mostBodyBytes = 1 << 20;

/** Runs until the signal of `uses` is aborted, then ends in order. Throws if it cannot start. */
export async function serve(request: ServeRequest): Promise<void> {
  const { uses, say } = request;
  const { clock, signal, config } = uses;
  const log = createLog({ level: request.logLevel });
  const closing = new AbortController();
  await using catalogue = await openCatalogue(await catalogueAddress(uses), () => clock.nowMs());
  const sealing = await openSealing({ ...uses, catalogue });
  const provider = oidcProvider(uses);
  const { url, trustedProxies, metrics } = config.server;
  const parts: ApiParts = {
    ...{ clock, log, catalogue },
    access: () => uses,
    sealing,
    oidc: () => provider,
    readiness: () => readinessOf(catalogue, closing.signal, log),
    renderMetrics,
    stopping: closing.signal,
    settings: { url, trustedProxies, openMetrics: metrics.open, mostBodyBytes },
  };
  const settings = {
    ...config.server,
    ...(request.listen === undefined ? {} : { listen: parseListenAddress(request.listen) }),
  };
  await using http = await listen({ app: createApp(parts), settings, clock, log, secret: secretReader(uses) });
  say(`Holdfast ${programVersion} listens on ${http.url}`);
  await tellSetUp({ catalogue, clock }, url ?? http.url, say);
  log.info({ url: http.url, catalogue: catalogue.title, version: programVersion }, 'started');
  const textfile = keepTextfile({
    ...{ clock, log, signal: closing.signal },
    file: () => parts.access().config.server.metrics.textfile,
    uses: () => ({ ...parts.access(), clock, catalogue, signal: closing.signal, report: () => undefined }),
  });
  await aborted(signal);
  log.info('stopping');
  closing.abort();
  await textfile;
  await http.close(graceMs);
  log.info('stopped');
}

/** Goes to the terminal or the journal of who runs the server, and nowhere else. */
async function tellSetUp(uses: AuthUses, url: string, say: ServeRequest['say']): Promise<void> {
  const code = await openSetUp(uses);
  if (code === undefined) return;
  say(`Nobody may use this server yet. Become its owner at ${url} with the set-up code ${code.reveal()}`);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
