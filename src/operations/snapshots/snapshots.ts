/** List snapshots, each with its last proof. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { isState } from '../../model/snapshot.ts';
import { listPins, listProofs, listSnapshots } from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { askEach, failedRepository } from '../repositories/ask-each.ts';
import type { NamedRepository } from '../repositories/repository-access.ts';
import { repositoriesToSearch } from './snapshot-access.ts';
import { lastProofs, type SnapshotView, snapshotView, viewSnapshot } from './snapshot-view.ts';

const input = z.object({
  source: z.string().optional(),
  repository: z.string().optional(),
  /** Also the ones that hold the configuration (`holdfast-state`). */
  all: z.boolean().default(false),
});
const output = z.object({
  /** Oldest first. */
  snapshots: z.array(snapshotView),
  /** Repositories that could not be asked. */
  failed: z.array(failedRepository),
});
export type SnapshotsOutput = z.infer<typeof output>;

type Uses = RepositoryAccess & Execution;

/** Repositories are asked at the same time. If none can be asked, the error of the first is thrown. */
export const snapshots = operation({
  name: 'snapshots',
  permission: 'viewer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<SnapshotsOutput> => {
    const names = repositoriesToSearch(request.source ?? '', request.repository, uses);
    const { answers, failed } = await askEach(names, uses, (opened) => listIn(opened, request.all, uses));
    const found = answers.flat();
    const shown = found.filter((one) => request.source === undefined || one.source === request.source);
    if (shown.length === 0 && request.source !== undefined) requireKnown(request.source, uses);
    return { snapshots: shown.sort((a, b) => a.timeMs - b.timeMs), failed };
  },
});

async function listIn({ name, repository }: NamedRepository, all: boolean, uses: Uses): Promise<SnapshotView[]> {
  const [stored, pins, proofs] = await Promise.all([
    listSnapshots(repository, uses.signal),
    listPins(repository, uses.signal),
    listProofs(repository, uses.signal),
  ]);
  const proven = lastProofs(proofs);
  const shown = stored.filter((one) => all || !isState(one));
  return shown.map((one) =>
    viewSnapshot(one, { repository: name, pinned: pins.has(one.id), proof: proven.get(one.id) }),
  );
}

/** A source that is neither declared nor in any repository is most likely misspelt. */
function requireKnown(source: string, { config }: Uses): void {
  if (config.sources.has(source)) return;
  throw new HoldfastError({
    code: 'snapshot.unknown',
    message: `there is no snapshot of a source «${source}», and it is not declared`,
    remedy: 'List all there is with: holdfast snapshots',
  });
}
