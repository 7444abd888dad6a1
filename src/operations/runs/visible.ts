/** What somebody may see of runs and events: those of sources and repositories of their workspaces. */
import { HoldfastError } from '../../base/errors.ts';
import type { HoldfastEvent } from '../../model/event.ts';
import { isAtLeast, type Principal, type Role, roleIn } from '../../model/principal.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { CatalogueAccess, RepositoryAccess } from '../operation.ts';

export interface Visible {
  readonly sources: readonly string[];
  readonly repositories: readonly string[];
  /** Also what is about no source and no repository. */
  readonly general: boolean;
}

type Uses = Pick<RepositoryAccess, 'config'> & Pick<CatalogueAccess, 'principal'>;

/** `undefined`: everything, also of what is declared no more. */
export function visibleTo(principal: Principal, needed: Role, { config }: Pick<Uses, 'config'>): Visible | undefined {
  const isLarge = (workspace?: string): boolean => isAtLeast(roleIn(principal, workspace), needed);
  if (principal.sources === undefined && isLarge()) return undefined;
  const { sources } = principal;
  return {
    sources: [...config.sources.values()]
      .filter((one) => isLarge(one.workspace) && (sources === undefined || sources.has(one.name)))
      .map((one) => one.name),
    repositories:
      sources === undefined
        ? [...config.repositories.values()].filter((one) => isLarge(one.workspace)).map((one) => one.name)
        : [],
    general: false,
  };
}

export function isVisible(
  { source, repository }: Pick<RunRecord | HoldfastEvent, 'source' | 'repository'>,
  visible: Visible | undefined,
): boolean {
  if (visible === undefined) return true;
  if (source !== undefined) return visible.sources.includes(source);
  return repository === undefined ? visible.general : visible.repositories.includes(repository);
}

/** `run.unknown` for one that is not there, and the same to who may not see it; `auth.forbidden` to who may only see it. */
export function requireRun(id: string, run: RunRecord | undefined, needed: Role, uses: Uses): RunRecord {
  if (!run || !isVisible(run, visibleTo(uses.principal, 'viewer', uses))) {
    throw new HoldfastError({
      code: 'run.unknown',
      message: `there is no run «${id}»`,
      remedy: 'List what there is with: holdfast runs list',
    });
  }
  if (isVisible(run, visibleTo(uses.principal, needed, uses))) return run;
  throw new HoldfastError({
    code: 'auth.forbidden',
    message: `${uses.principal.name} may not do this to the run ${id}: it needs the role ${needed}`,
    remedy: 'Ask an admin for the role, or use a token that has it.',
  });
}
