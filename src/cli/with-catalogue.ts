/** What a command does that needs what Holdfast remembers, on this machine. */
import type { CatalogueAccess, Execution, SourceAccess } from '../operations/operation.ts';
import type { Face } from './face.ts';
import { usesToLook } from './uses-to-look.ts';

export async function withCatalogue<Result>(
  face: Face,
  work: (uses: SourceAccess & Execution & CatalogueAccess) => Promise<Result>,
): Promise<Result> {
  if (face.server !== undefined) {
    // The server uses its own.
    return await work((await face.uses()) as SourceAccess & Execution & CatalogueAccess);
  }
  const [uses, { openLocalCatalogue }] = await Promise.all([
    usesToLook(face),
    import('../operations/open-catalogue.ts'),
  ]);
  await using access = await openLocalCatalogue(uses);
  return await work({ ...uses, catalogue: access.catalogue, principal: access.principal });
}
