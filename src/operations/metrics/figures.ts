/** What metrics are made of: one view of the sources and repositories, and what a server remembers of runs. */

import type { AgentFigures, QueueFigures, RunCount, SizeFigures } from '../../catalogue/figures.ts';
import { agentFigures, countRunsByKind, deliveryFigures, newestSizes, queueFigures } from '../../catalogue/figures.ts';
import { type LastRuns, lastRuns } from '../../catalogue/last-runs.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { listWorkers } from '../../catalogue/workers.ts';
import type { Config } from '../../config/index.ts';
import type { CatalogueAccess, Execution, RepositoryAccess } from '../operation.ts';
import { status } from '../status/status.ts';
import type { StatusOutput } from '../status/view.ts';

export interface MetricFigures {
  readonly nowMs: number;
  readonly config: Config;
  readonly state: StatusOutput;
  /** Only where runs are remembered. */
  readonly server?: ServerFigures;
}

export interface ServerFigures {
  readonly runs: readonly RunCount[];
  readonly queue: QueueFigures;
  readonly last: LastRuns;
  readonly workers: number;
  readonly agents: AgentFigures;
  readonly deliveries: readonly { readonly channel: string; readonly state: string; readonly count: number }[];
  readonly sizes: readonly SizeFigures[];
}

export type MetricUses = RepositoryAccess & Execution & Partial<Pick<CatalogueAccess, 'catalogue'>>;

const dayMs = 86_400_000;
const workerMs = 60_000;
const agentMs = 120_000;

/** From the catalogue where there is one, else from the repositories. */
export async function collect(uses: MetricUses): Promise<MetricFigures> {
  const [state, server] = await Promise.all([
    // Who may read metrics is decided before; they are about everything.
    status.run({}, { ...uses, principal: undefined }),
    uses.catalogue === undefined ? undefined : serverFigures(uses.catalogue),
  ]);
  return { nowMs: uses.clock.nowMs(), config: uses.config, state, ...(server ? { server } : {}) };
}

async function serverFigures(catalogue: Catalogue): Promise<ServerFigures> {
  const nowMs = await catalogue.nowMs();
  const [runs, queue, last, workers, agents, deliveries, sizes] = await Promise.all([
    countRunsByKind(catalogue, nowMs - dayMs),
    queueFigures(catalogue),
    lastRuns(catalogue),
    listWorkers(catalogue),
    agentFigures(catalogue, nowMs - agentMs),
    deliveryFigures(catalogue, nowMs - dayMs),
    newestSizes(catalogue),
  ]);
  const alive = workers.filter((one) => one.seenAtMs >= nowMs - workerMs);
  return { runs, queue, last, workers: alive.length, agents, deliveries, sizes };
}
