/** List what was proven. */
import { z } from 'zod';
import { listProofs } from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { askEach, failedRepository } from '../repositories/ask-each.ts';
import { repositoriesToSearch } from './snapshot-access.ts';
import { proofView, viewProof } from './snapshot-view.ts';

const input = z.object({ source: z.string().optional(), repository: z.string().optional() });
const output = z.object({
  /** Oldest first. */
  proofs: z.array(proofView.extend({ repository: z.string() })),
  /** Repositories that could not be asked. */
  failed: z.array(failedRepository),
});
export type ProofsOutput = z.infer<typeof output>;

/** Repositories are asked at the same time. If none can be asked, the error of the first is thrown. */
export const proofs = operation({
  name: 'proofs',
  permission: 'viewer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: RepositoryAccess & Execution): Promise<ProofsOutput> => {
    const names = repositoriesToSearch(request.source ?? '', request.repository, uses);
    const { answers, failed } = await askEach(names, uses, async ({ name, repository }) => {
      const stored = await listProofs(repository, uses.signal);
      const wanted = stored.filter((one) => request.source === undefined || one.source === request.source);
      return wanted.map((one) => ({ ...viewProof(one), repository: name }));
    });
    return { proofs: answers.flat().sort((a, b) => (a.time < b.time ? -1 : 1)), failed };
  },
});
