/** What is not safely restorable now, and why: for every declared source, in each of its repositories. */
import { z } from 'zod';
import { stillStopped } from './left-windows.ts';
import { type CatalogueAccess, type Execution, operation, type RepositoryAccess } from './operation.ts';
import { leftElsewhere, viewRepository } from './repository-state.ts';
import { fromCatalogue, runsFromCatalogue } from './status/from-catalogue.ts';
import { fromRepositories } from './status/from-repositories.ts';
import { type Knowledge, type KnownRuns, stateOf } from './status/knowledge.ts';
import { type SourceState, type StatusOutput, statusView } from './status/view.ts';

export type { SourceState, StatusOutput };

type Uses = RepositoryAccess & Execution & Partial<Pick<CatalogueAccess, 'catalogue'>>;

/** From the catalogue where there is one: what it was told last. From the repositories otherwise. */
export const status = operation({
  name: 'status',
  permission: 'viewer',
  input: z.object({}),
  output: statusView,
  run: async (_: object, uses: Uses): Promise<StatusOutput> => {
    const { config } = uses;
    const { knowledge, runs } = await learn(uses);
    const stopped = await stillStopped(uses);
    const sources = [...config.sources.values()].flatMap((source) =>
      source.placements.map((placement) =>
        withStopped(
          stateOf(source, placement, { knowledge, runs: runs?.get(source.name) }, uses),
          stopped.get(source.name),
        ),
      ),
    );
    const repositories = await Promise.all(
      [...knowledge].map(async ([name, known]) => await viewRepository(name, known, sources, uses)),
    );
    // Nothing declared is nothing protected, not everything.
    const ok = sources.length > 0 && [...sources, ...repositories].every((one) => one.ok);
    return { ok, sources, repositories, elsewhere: leftElsewhere(config, knowledge) };
  },
});

interface Learnt {
  readonly knowledge: ReadonlyMap<string, Knowledge>;
  /** By source; only where runs are remembered. */
  readonly runs?: ReadonlyMap<string, KnownRuns>;
}

async function learn(uses: Uses): Promise<Learnt> {
  const { catalogue } = uses;
  if (catalogue === undefined) return { knowledge: await fromRepositories(uses) };
  const known = { ...uses, catalogue };
  const [knowledge, runs] = await Promise.all([fromCatalogue(known), runsFromCatalogue(known)]);
  return { knowledge, runs };
}

/** A service that stands still because of a backup is the most urgent thing to know about its source. */
function withStopped(state: SourceState, stopped: readonly string[] | undefined): SourceState {
  if (stopped === undefined) return state;
  const message = `a backup that was interrupted stopped ${stopped.join(', ')}, which could not be started again`;
  const concern = { kind: 'services-stopped', message, remedy: 'Start it by hand; then run any holdfast command.' };
  return { ...state, ok: false, concerns: [concern, ...state.concerns] };
}
