/** Search snapshots for names. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { findInSnapshots } from '../../engine/find.ts';
import { isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { listSnapshots, lockForReading } from '../../repository/index.ts';
import { type Emitting, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { askInTurn, failedRepository } from '../repositories/ask-each.ts';
import type { NamedRepository } from '../repositories/repository-access.ts';
import { nodeView, viewNode } from './node-view.ts';
import { openSnapshot, repositoriesToSearch } from './snapshot-access.ts';

const input = z.object({
  patterns: z.array(z.string()).min(1),
  /** Only in this one, or in the snapshots of this source. */
  snapshot: z.string().optional(),
  source: z.string().optional(),
  ignoreCase: z.boolean().default(false),
  repository: z.string().optional(),
});
/** One state of the thing at a path, and the snapshots that hold it in that state, oldest first. */
export const match = nodeView.extend({
  repository: z.string(),
  snapshots: z.array(z.object({ id: z.string(), time: z.string(), source: z.string().optional() })),
});
export type Match = z.infer<typeof match>;
const output = z.object({
  snapshots: z.number(),
  count: z.number(),
  /** Repositories that could not be asked, or not to the end. */
  failed: z.array(failedRepository),
});
export type FindOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = RepositoryAccess & Execution & Emitting<Match>;

/** Matches are emitted while the trees are read, path by path. If no repository can be asked, the error of the first is thrown. */
export const find = operation({
  name: 'find',
  permission: 'restorer',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<FindOutput> => {
    const found = request.snapshot === undefined ? await findInAll(request, uses) : await findInOne(request, uses);
    if (found.snapshots > 0 || found.failed.length > 0) return found;
    throw new HoldfastError({
      code: 'snapshot.unknown',
      message: 'there is no snapshot to search',
      remedy: 'List what there is with: holdfast snapshots',
    });
  },
});

async function findInOne(request: Request, uses: Uses): Promise<FindOutput> {
  await using found = await openSnapshot(request.snapshot!, request.repository, uses);
  return { ...(await findIn({ opened: found.opened, snapshots: [found.snapshot] }, request, uses)), failed: [] };
}

async function findInAll(request: Request, uses: Uses): Promise<FindOutput> {
  const names = repositoriesToSearch(request.source ?? '', request.repository, uses);
  const handing = new HandingOn(uses.emit);
  const using = { ...uses, emit: handing.emit };
  const { answers, failed } = await askInTurn(
    names,
    uses,
    (opened) => findIn({ opened }, request, using),
    (error) => handing.hasFailedWith(error),
  );
  const sum = (key: 'snapshots' | 'count'): number => answers.reduce((total, one) => total + one[key], 0);
  return { snapshots: sum('snapshots'), count: sum('count'), failed };
}

/** Knows an error of who takes the matches from one of the repository they are in. */
class HandingOn {
  #failure: { readonly error: unknown } | undefined;
  readonly emit: (item: Match) => Promise<void>;

  constructor(emit: Emitting<Match>['emit']) {
    this.emit = async (item) => {
      try {
        await emit(item);
      } catch (error) {
        this.#failure = { error };
        throw error;
      }
    };
  }

  hasFailedWith(error: unknown): boolean {
    return this.#failure !== undefined && this.#failure.error === error;
  }
}

async function findIn(
  { opened, snapshots: named }: { readonly opened: NamedRepository; readonly snapshots?: readonly StoredSnapshot[] },
  request: Request,
  uses: Uses,
): Promise<{ snapshots: number; count: number }> {
  const { repository, name } = opened;
  await using lock = await lockForReading(repository, uses.report, { signal: uses.signal });
  const snapshots = named ?? ofSource(await listSnapshots(repository, uses.signal), request);
  let count = 0;
  const { patterns, ignoreCase } = request;
  const signal = lock?.signal ?? uses.signal;
  for await (const version of findInSnapshots(repository, snapshots, { patterns, ignoreCase, signal })) {
    await uses.emit({
      ...viewNode(version.path, version.node),
      repository: name,
      snapshots: version.snapshots.map((one) => ({ id: one.id, time: one.time, source: sourceOf(one) })),
    });
    count++;
  }
  return { snapshots: snapshots.length, count };
}

function ofSource(snapshots: readonly StoredSnapshot[], { source }: Request): readonly StoredSnapshot[] {
  return snapshots.filter((one) => (source === undefined ? !isState(one) : sourceOf(one) === source));
}
