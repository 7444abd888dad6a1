/** What a command uses that answers from the catalogue while a server runs here, and from the repositories otherwise. */
import type { CatalogueAccess, Execution, SourceAccess } from '../operations/operation.ts';
import type { Face } from './face.ts';
import { usesToLook } from './uses-to-look.ts';

type Uses = SourceAccess & Execution & Partial<Pick<CatalogueAccess, 'catalogue'>>;

/** `ask`: the repositories, also while a server runs. */
export async function withServed(face: Face, ask: boolean, work: (uses: Uses) => Promise<void>): Promise<void> {
  const uses = await usesToLook(face);
  if (ask || face.server !== undefined) return await work(uses);
  const { findServedCatalogue } = await import('../operations/served.ts');
  await using served = await findServedCatalogue(uses);
  await work({ ...uses, ...(served ? { catalogue: served.catalogue } : {}) });
}
