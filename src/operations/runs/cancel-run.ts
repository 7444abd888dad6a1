/** Takes a run back, or stops it. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { findRun } from '../../catalogue/run-list.ts';
import { requestCancel } from '../../catalogue/runs.ts';
import { type CatalogueAccess, operation, type RepositoryAccess } from '../operation.ts';
import { runView } from './run-view.ts';
import { requireRun } from './visible.ts';

const input = z.object({ id: z.string().min(1).max(26) });
const output = z.object({
  /** cancelled: it never began · requested: who executes it is told, and ends in order. */
  outcome: z.enum(['cancelled', 'requested']),
  run: runView,
});
export type CancelRunOutput = z.infer<typeof output>;

type Uses = Pick<RepositoryAccess, 'config'> & CatalogueAccess;

/** `run.unknown`; `run.ended` if it has a final state. */
export const cancelRun = operation({
  name: 'runs cancel',
  permission: 'operator',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<CancelRunOutput> => {
    const { catalogue, principal } = uses;
    const { id } = requireRun(request.id, await findRun(catalogue, request.id), 'operator', uses);
    const told = await requestCancel(catalogue, { id, by: principal.name });
    const { outcome, run } = told ?? { outcome: 'ended' as const, run: undefined };
    if (outcome !== 'ended' && run) return { outcome, run };
    throw new HoldfastError({
      code: 'run.ended',
      message: `the run ${id} has ended already${run ? `: ${run.state}` : ''}`,
      remedy: 'There is nothing to cancel.',
    });
  },
});
