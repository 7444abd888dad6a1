/** List what was proven. */
import { z } from 'zod';
import { listProofs } from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { openNamed } from '../repositories/repository-access.ts';
import { repositoriesToSearch } from './snapshot-access.ts';
import { proofView, viewProof } from './snapshot-view.ts';

const input = z.object({ source: z.string().optional(), repository: z.string().optional() });
const output = z.object({
  /** Oldest first. */
  proofs: z.array(proofView.extend({ repository: z.string() })),
});
export type ProofsOutput = z.infer<typeof output>;

export const proofs = operation({
  name: 'proofs',
  permission: 'viewer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: RepositoryAccess & Execution): Promise<ProofsOutput> => {
    const found: ProofsOutput['proofs'] = [];
    for (const name of repositoriesToSearch(request.source ?? '', request.repository, uses)) {
      await using opened = await openNamed(name, uses);
      for (const proof of await listProofs(opened.repository, uses.signal)) {
        if (request.source !== undefined && proof.source !== request.source) continue;
        found.push({ ...viewProof(proof), repository: name });
      }
    }
    return { proofs: found.sort((a, b) => (a.time < b.time ? -1 : 1)) };
  },
});
