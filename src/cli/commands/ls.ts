import type { Command } from 'commander';
import type { NodeView } from '../../operations/snapshots/node-view.ts';
import type { Face } from '../face.ts';
import { emitList } from '../list-writer.ts';
import { nodeLine } from '../node-line.ts';

export function add(program: Command, face: Face): void {
  program
    .command('ls')
    .description('list what is in a snapshot')
    .argument('<snapshot>', 'an id, the beginning of one, SOURCE, SOURCE@latest or SOURCE@2026-11-20T03:00Z')
    .argument('[path]', 'only what lies there')
    .option('--flat', 'only the directory itself, not what lies deeper')
    .option('--repository <name>', 'the repository it is in')
    .action(async (snapshot: string, path: string | undefined, options: { repository?: string }) => {
      const { ls } = await import('../../operations/snapshots/ls.ts');
      const uses = await face.uses(options.repository);
      await emitList<NodeView, object>(face, { key: 'entries', line: nodeLine }, (emit) =>
        face.run(ls, ls.input.parse({ snapshot, path, ...options }), { ...uses, emit }),
      );
    });
}
