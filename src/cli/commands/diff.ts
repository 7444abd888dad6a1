import type { Command } from 'commander';
import { formatBytes } from '../../base/bytes.ts';
import { printableName } from '../../base/names.ts';
import type { DifferenceView, DiffOutput } from '../../operations/snapshots/diff.ts';
import type { Face } from '../face.ts';
import { emitList } from '../list-writer.ts';

const signs = { added: '+', removed: '-', content: 'M', metadata: 'U', type: 'T' } as const;

export function add(program: Command, face: Face): void {
  program
    .command('diff')
    .description('compare two snapshots: + added, - removed, M other content, T other type, U metadata only')
    .argument('<before>', 'a snapshot')
    .argument('<after>', 'another one in the same repository')
    .option('--metadata', 'also show what differs in metadata only')
    .option('--repository <name>', 'the repository they are in')
    .action(async (before: string, after: string, options: { repository?: string }) => {
      const { diff } = await import('../../operations/snapshots/diff.ts');
      const uses = await face.uses(options.repository);
      const form = {
        key: 'differences',
        line: (one: DifferenceView) => `${signs[one.change]} ${printableName(one.path)}`,
      };
      const output = await emitList<DifferenceView, DiffOutput>(face, form, (emit) =>
        face.run(diff, diff.input.parse({ before, after, ...options }), { ...uses, emit }),
      );
      if (face.screen.json) return;
      const sizes = `${formatBytes(output.addedBytes)} came, ${formatBytes(output.removedBytes)} went`;
      face.screen.say(`${output.added} added, ${output.removed} removed, ${output.changed} changed; ${sizes}`);
    });
}
