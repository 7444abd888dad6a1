/**
 * Makes anew what the catalogue knows of data, from the repositories alone. What only the catalogue ever knew (runs, events,
 * people) is not in them: a snapshot says that a backup stored it, not how its run ended nor what runs stored nothing, so no
 * history is made up from it.
 */
import { z } from 'zod';
import { forgetRepository } from '../../catalogue/data/repository-content.ts';
import { knownRepositories } from '../../catalogue/data/repository-states.ts';
import { knownSources } from '../../catalogue/data/summary.ts';
import { type CatalogueAccess, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { refreshRepository } from './refresh-repository.ts';

const input = z.object({ repositories: z.array(z.string()).default([]) });
const output = z.object({
  ok: z.boolean(),
  repositories: z.array(
    z.object({
      name: z.string(),
      snapshots: z.number().optional(),
      proofs: z.number().optional(),
      error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
    }),
  ),
  /** Known of before, declared no more: not known any longer. */
  forgotten: z.array(z.string()),
});
export type RebuildOutput = z.infer<typeof output>;

type Uses = RepositoryAccess & Execution & CatalogueAccess;

/** Of the repositories that are named, or of all that are declared. One that cannot be read keeps what was known of it. */
export const catalogueRebuild = operation({
  name: 'catalogue rebuild',
  permission: 'admin',
  input,
  output,
  run: async ({ repositories }: z.infer<typeof input>, uses: Uses): Promise<RebuildOutput> => {
    const names = repositories.length > 0 ? repositories : [...uses.config.repositories.keys()];
    const rebuilt: RebuildOutput['repositories'] = [];
    for (const name of names) {
      uses.report({ type: 'stage', stage: 'read', subject: name });
      const { content, error } = await refreshRepository(uses.catalogue, name, { ...uses, whole: true });
      const { code, message, remedy } = error ?? {};
      rebuilt.push({ name, ...content, ...(code && message && remedy ? { error: { code, message, remedy } } : {}) });
    }
    const forgotten = repositories.length > 0 ? [] : await forgetOthers(new Set(names), uses);
    return { ok: rebuilt.every((one) => one.error === undefined), repositories: rebuilt, forgotten };
  },
});

async function forgetOthers(declared: ReadonlySet<string>, { catalogue }: Uses): Promise<string[]> {
  const [states, sources] = await Promise.all([knownRepositories(catalogue), knownSources(catalogue)]);
  const known = new Set([...states, ...sources].map((one) => one.repository));
  const others = [...known].filter((name) => !declared.has(name));
  for (const name of others) await forgetRepository(catalogue, name);
  return others;
}
