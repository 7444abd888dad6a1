/** Compare two snapshots. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { type Difference, diffTrees } from '../../engine/diff.ts';
import { factsFolder } from '../../model/snapshot.ts';
import { lockForReading } from '../../repository/index.ts';
import { type Emitting, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { nodeView, viewNode } from './node-view.ts';
import { openTogether } from './snapshot-access.ts';

const input = z.object({
  before: z.string(),
  after: z.string(),
  /** Also what differs in metadata only. */
  metadata: z.boolean().default(false),
  repository: z.string().optional(),
});
export const difference = z.object({
  path: z.string(),
  change: z.enum(['added', 'removed', 'content', 'metadata', 'type']),
  /** Of files: bytes that only the one side has. */
  addedBytes: z.number(),
  removedBytes: z.number(),
  before: nodeView.optional(),
  after: nodeView.optional(),
});
export type DifferenceView = z.infer<typeof difference>;
const output = z.object({
  before: z.string(),
  after: z.string(),
  added: z.number(),
  removed: z.number(),
  changed: z.number(),
  addedBytes: z.number(),
  removedBytes: z.number(),
});
export type DiffOutput = z.infer<typeof output>;

/** Differences are emitted in path order while the trees are read. Both snapshots have to be in the same repository. */
export const diff = operation({
  name: 'diff',
  permission: 'restorer',
  input,
  output,
  run: async (
    request: z.infer<typeof input>,
    uses: RepositoryAccess & Execution & Emitting<DifferenceView>,
  ): Promise<DiffOutput> => {
    await using found = await openTogether([request.before, request.after], request.repository, uses);
    const [before, after] = found.wanted;
    if (after.id === before.id) throw sameSnapshot(after.id);
    const { repository } = found.opened;
    await using lock = await lockForReading(repository, uses.report, { signal: uses.signal });
    const signal = lock?.signal ?? uses.signal;
    const total = { added: 0, removed: 0, changed: 0, addedBytes: 0, removedBytes: 0 };
    for await (const one of diffTrees(repository, before.tree, after.tree, signal)) {
      if (!isShown(one, request.metadata)) continue;
      count(total, one);
      await uses.emit(viewDifference(one));
    }
    return { before: before.id, after: after.id, ...total };
  },
});

/** The facts Holdfast stores with a snapshot differ always, and say nothing about the source. */
function isShown({ path, change }: Difference, metadata: boolean): boolean {
  const isFact = path === `/${factsFolder}` || path.startsWith(`/${factsFolder}/`);
  return !isFact && (metadata || change !== 'metadata');
}

function count(total: Omit<DiffOutput, 'before' | 'after'>, one: Difference): void {
  total[one.change === 'added' || one.change === 'removed' ? one.change : 'changed']++;
  total.addedBytes += one.addedBytes;
  total.removedBytes += one.removedBytes;
}

function viewDifference({ path, change, before, after, addedBytes, removedBytes }: Difference): DifferenceView {
  return {
    path,
    change,
    addedBytes,
    removedBytes,
    ...(before ? { before: viewNode(path, before) } : {}),
    ...(after ? { after: viewNode(path, after) } : {}),
  };
}

function sameSnapshot(id: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `both name the same snapshot ${id.slice(0, 8)}`,
    remedy: 'Name two, for example SOURCE@2026-11-20 and SOURCE@latest.',
  });
}
