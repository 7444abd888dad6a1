/** Finds the snapshot a person means, in whichever repository it is. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { beginReading, type Reading } from '../../engine/open-contents.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { findSnapshot, listSnapshots } from '../../repository/index.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { type NamedRepository, openNamed } from '../repositories/repository-access.ts';

export interface FoundSnapshot extends AsyncDisposable {
  readonly opened: NamedRepository;
  readonly snapshot: StoredSnapshot;
  /** All snapshots of that repository, oldest first. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Begun where that was asked for: for `openContents`, which disposes of it. */
  readonly reading?: Reading;
}

type Uses = RepositoryAccess & Execution;

/**
 * Looks in the named repository, else in those of the source that is named, else in all of them, one after the other. A
 * repository that cannot be opened is reported and passed over as long as another one has the snapshot.
 */
export async function openSnapshot(
  wanted: string,
  repository: string | undefined,
  uses: Uses,
  { toRead = false }: { readonly toRead?: boolean } = {},
): Promise<FoundSnapshot> {
  const names = repositoriesToSearch(wanted, repository, uses);
  let failure: unknown;
  for (const name of names) {
    try {
      return await openIn(name, wanted, uses, toRead);
    } catch (error) {
      if (names.length === 1 || hasCode(error, 'cancelled', 'usage.invalid', 'snapshot.ambiguous')) throw error;
      if (!hasCode(error, 'snapshot.unknown')) {
        uses.report({
          type: 'warning',
          code: 'repository',
          message: `repository ${name}: ${(error as Error).message}`,
        });
      }
      // What could not be looked into says more than «not found» elsewhere.
      if (failure === undefined || hasCode(failure, 'snapshot.unknown')) failure = error;
    }
  }
  throw failure ?? noRepository(uses);
}

async function openIn(name: string, wanted: string, uses: Uses, toRead: boolean): Promise<FoundSnapshot> {
  const opened = await openNamed(name, uses);
  const { repository } = opened;
  const reading = toRead ? beginReading({ repository, report: uses.report, signal: uses.signal }) : undefined;
  try {
    const snapshots = await listSnapshots(repository, uses.signal);
    const snapshot = findSnapshot(snapshots, wanted);
    return { opened, snapshot, snapshots, reading, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
  } catch (error) {
    await reading?.[Symbol.asyncDispose]();
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

export function repositoriesToSearch(wanted: string, repository: string | undefined, uses: Uses): string[] {
  if (repository !== undefined) return [repository];
  const source = uses.config.sources.get(wanted.replace(/@[^@]*$/, ''));
  const own = source?.placements.map((placement) => placement.repository) ?? [];
  return own.length > 0 ? own : [...uses.config.repositories.keys()];
}

function noRepository(uses: Uses): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `no repository is declared in ${uses.config.file}`,
    remedy: 'Declare one under «repositories:», or name one with --repository.',
  });
}
