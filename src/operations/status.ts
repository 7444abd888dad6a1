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

const input = z.object({
  /** Leave out what is safe: of ten thousand sources, a person wants to see the three that are not. */
  only: z.enum(['all', 'concerns']).default('all'),
});

/** From the catalogue where there is one: what it was told last. From the repositories otherwise. */
export const status = operation({
  name: 'status',
  permission: 'viewer',
  input,
  output: statusView,
  run: async ({ only }: z.input<typeof input>, uses: Uses): Promise<StatusOutput> => {
    const { config } = uses;
    const { knowledge, runs } = await learn(uses);
    const stopped = await stillStopped(uses);
    const onlyConcerns = only === 'concerns';
    let states = 0;
    const judged: SourceState[] = [];
    for (const source of config.sources.values()) {
      const halted = stopped.get(source.name);
      for (const placement of source.placements) {
        states++;
        const judging = { knowledge, runs: runs?.(source.name), onlyConcerns: onlyConcerns && halted === undefined };
        const state = stateOf(source, placement, judging, uses);
        if (state) judged.push(withStopped(state, halted));
      }
    }
    const repositories = await Promise.all(
      [...knowledge].map(async ([name, known]) => await viewRepository(name, known, judged, uses)),
    );
    const sources = onlyConcerns ? judged.filter((one) => !one.ok) : judged;
    const concerns = judged.filter((one) => !one.ok).length;
    // Nothing declared is nothing protected, not everything.
    const ok = states > 0 && concerns === 0 && repositories.every((one) => one.ok);
    const elsewhere = leftElsewhere(config, knowledge);
    return { ok, counts: { states, concerns }, sources, repositories, elsewhere };
  },
});

interface Learnt {
  readonly knowledge: ReadonlyMap<string, Knowledge>;
  /** Of a source; only where runs are remembered. */
  readonly runs?: (source: string) => KnownRuns;
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
