/**
 * How a page of runs is found among millions: by one or several ranges of an index that has the wanted order, each read only
 * as far as the page needs it. Neither planner knows what we know of the columns (a source has few runs, a state many, and
 * failures are rare), and a plan that sorts a million rows is one nobody waits for: so the index is chosen here, and columns
 * that are not to choose one are hidden in an expression.
 */
import { type RawBuilder, type SelectQueryBuilder, sql } from 'kysely';
import type { RunKind, RunState } from '../model/run-record.ts';
import { runKinds, runStates } from '../model/run-record.ts';
import { isAmong } from './among.ts';
import type { Catalogue } from './open.ts';
import type { RunTable, Tables } from './tables.ts';

export interface RunChoice {
  readonly states?: readonly RunState[];
  readonly kinds?: readonly RunKind[];
  readonly source?: string;
  readonly repository?: string;
  readonly policy?: string;
  /** Only runs about what somebody may see: of these sources, and of these repositories where a run has no source. */
  readonly visible?: { readonly sources: readonly string[]; readonly repositories: readonly string[] };
}

export type RunQuery = SelectQueryBuilder<Tables, 'run', object>;
/** A range of an index. */
type Way = (query: RunQuery) => RunQuery;

/** Of what somebody may see up to so many names are looked up one by one; beyond, runs are read until enough are found. */
const mostLookedUp = 100;

type Driver = 'source' | 'visible' | 'repository' | 'policy' | 'kinds' | 'states';

/** Each gives a part of what matches, newest first if it is ordered by id; together they give all, each run once. */
export function waysTo(choice: RunChoice, kind: Catalogue['kind']): Way[] {
  const driver = driverOf(choice);
  const rest = (query: RunQuery): RunQuery => filtered(query, choice, { kind, driver });
  if (driver === undefined) return [rest];
  return rangesOf(driver, choice).map((range) => (query) => rest(range(query)));
}

function driverOf({ states, kinds, source, repository, policy, visible }: RunChoice): Driver | undefined {
  if (source !== undefined) return 'source';
  if (visible && visible.sources.length + visible.repositories.length <= mostLookedUp) return 'visible';
  if (policy !== undefined) return 'policy';
  if (kinds) return 'kinds';
  if (repository !== undefined) return 'repository';
  return states ? 'states' : undefined;
}

function rangesOf(driver: Driver, choice: RunChoice): Way[] {
  const { states = runStates, kinds = runKinds, source, repository, policy, visible } = choice;
  if (driver === 'visible') return rangesOfVisible(visible!);
  if (driver === 'source') return kinds.map((one) => (q) => q.where('source', '=', source!).where('kind', '=', one));
  if (driver === 'kinds') {
    return kinds.flatMap((one) =>
      states.map(
        (state): Way =>
          (q) =>
            q.where('kind', '=', one).where('state', '=', state),
      ),
    );
  }
  return states.map((state) => (q) => {
    const inState = q.where('state', '=', state);
    if (driver === 'policy') return inState.where('policy', '=', policy!);
    return driver === 'repository' ? inState.where('repository', '=', repository!) : inState;
  });
}

function rangesOfVisible({ sources, repositories }: NonNullable<RunChoice['visible']>): Way[] {
  return [
    ...(sources.length > 0 ? [(q: RunQuery) => q.where('source', 'in', sources)] : []),
    ...(repositories.length > 0
      ? [(q: RunQuery) => q.where('source', 'is', null).where('repository', 'in', repositories)]
      : []),
  ];
}

/** What is left to look at, row by row, after a range of the driver was chosen. */
function filtered(
  query: RunQuery,
  { states, kinds, repository, policy, visible }: RunChoice,
  { kind, driver }: { readonly kind: Catalogue['kind']; readonly driver: Driver | undefined },
): RunQuery {
  const isChosen = (column: 'states' | 'kinds'): boolean =>
    driver === column ||
    (column === 'states' ? driver === 'policy' || driver === 'repository' || driver === 'kinds' : driver === 'source');
  const hidden = (column: keyof RunTable): RawBuilder<unknown> => hide(kind, sql.ref(column));
  let rest = query;
  if (states && !isChosen('states')) rest = rest.where(hidden('state'), 'in', listed(states));
  if (kinds && !isChosen('kinds')) rest = rest.where(hidden('kind'), 'in', listed(kinds));
  if (repository !== undefined && driver !== 'repository') rest = rest.where(hidden('repository'), '=', repository);
  if (policy !== undefined && driver !== 'policy') rest = rest.where(hidden('policy'), '=', policy);
  if (!visible || driver === 'visible') return rest;
  const { sources, repositories } = visible;
  return rest.where(({ eb, ref, and, or }) =>
    or([
      isAmong(kind, ref('source'), sources),
      and([eb(hidden('source'), 'is', null), isAmong(kind, ref('repository'), repositories)]),
    ]),
  );
}

function listed(names: readonly string[]): readonly string[] {
  return names.length > 0 ? names : [''];
}

/** The same value, for which no index is used. */
function hide(kind: Catalogue['kind'], column: RawBuilder<unknown>): RawBuilder<unknown> {
  return kind === 'sqlite' ? sql`+${column}` : sql`(${column} || '')`;
}
