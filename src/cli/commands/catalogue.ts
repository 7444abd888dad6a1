import type { Command } from 'commander';
import type { RebuildOutput } from '../../operations/catalogue/rebuild.ts';
import type { Face } from '../face.ts';
import { counted } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

export function add(program: Command, face: Face): void {
  program
    .command('catalogue')
    .description('what Holdfast remembers')
    .command('rebuild')
    .description('read all repositories and make anew what is known of their snapshots and proofs')
    .argument('[repositories...]', 'only these')
    .action(async (repositories: string[]) => {
      const { catalogueRebuild } = await import('../../operations/catalogue/rebuild.ts');
      await withCatalogue(face, (uses) =>
        face.perform(catalogueRebuild, { repositories }, uses, { text: describe, wrong: (output) => !output.ok }),
      );
    });
}

function describe({ repositories, forgotten }: RebuildOutput): string {
  const lines = repositories.map(({ name, snapshots = 0, proofs = 0, error }) =>
    error
      ? `✗ ${name}: ${error.message}; what was known of it stays\n    ${error.remedy}`
      : `✓ ${name}: ${counted(snapshots, 'snapshot')}, ${counted(proofs, 'proof')}`,
  );
  return [...lines, ...forgotten.map((name) => `note: ${name} is declared no more, and forgotten`)].join('\n');
}
