import type { Command } from 'commander';
import type { Face } from '../face.ts';
import { write } from '../list-writer.ts';

export function add(program: Command, face: Face): void {
  program
    .command('cat')
    .description('print a file of a snapshot')
    .argument('<snapshot>', 'an id, the beginning of one, SOURCE, SOURCE@latest or SOURCE@2026-11-20T03:00Z')
    .argument('[path]', 'the file; the one file of the snapshot by default')
    .option('--repository <name>', 'the repository it is in')
    .action(async (snapshot: string, path: string | undefined, options: { repository?: string }) => {
      const { cat } = await import('../../operations/snapshots/read-file.ts');
      const uses = await face.uses(options.repository);
      const emit = (part: Uint8Array): Promise<void> => write(face.screen.stdout, part);
      await face.run(cat, cat.input.parse({ snapshot, path, ...options }), { ...uses, emit });
    });
}
