/** A snapshot that is open for reading, found by what a person typed. */
import { type HeldContents, openContents } from '../../engine/open-contents.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { type FoundSnapshot, openSnapshot } from './snapshot-access.ts';

export interface OpenedContents extends AsyncDisposable {
  readonly found: FoundSnapshot;
  readonly snapshot: StoredSnapshot;
  readonly contents: HeldContents['contents'];
}

/** Disposing releases the lock and closes the repository. `chosen` is told which one that is, also where it cannot be read then. */
export async function openFound(
  wanted: string,
  repository: string | undefined,
  uses: RepositoryAccess & Execution & { stage?: string; chosen?: (repository: string) => void },
): Promise<OpenedContents> {
  const found = await openSnapshot(wanted, repository, uses, { toRead: true });
  uses.chosen?.(found.opened.name);
  try {
    const held = await openContents({
      repository: found.opened.repository,
      snapshot: found.snapshot,
      host: uses.localHost(),
      report: uses.report,
      signal: uses.signal,
      stage: uses.stage,
      reading: found.reading,
    });
    const dispose = async (): Promise<void> => {
      await held[Symbol.asyncDispose]();
      await found[Symbol.asyncDispose]();
    };
    return { found, snapshot: found.snapshot, contents: held.contents, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await found[Symbol.asyncDispose]();
    throw error;
  }
}
