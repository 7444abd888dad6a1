import type { Command } from 'commander';
import type { FindOutput, Match } from '../../operations/snapshots/find.ts';
import type { Face } from '../face.ts';
import { emitList } from '../list-writer.ts';
import { nodeLine } from '../node-line.ts';
import { shortId } from '../table.ts';
import { tellFailed } from '../tell-failed.ts';

export function add(program: Command, face: Face): void {
  program
    .command('find')
    .description('search snapshots for names')
    .argument('<pattern...>', 'like *.conf, /etc/**/passwd; all forms: docs/drivers/files.md')
    .option('--snapshot <snapshot>', 'only in this one')
    .option('--source <name>', 'only in the snapshots of this source')
    .option('-i, --ignore-case', 'take upper and lower case for the same')
    .option('--repository <name>', 'only in this repository')
    .action(async (patterns: string[], options: { repository?: string }) => {
      const { find } = await import('../../operations/snapshots/find.ts');
      const uses = await face.uses(options.repository);
      const form = {
        key: 'matches',
        line: (one: Match) => `${nodeLine(one)}  in ${one.snapshots.map((s) => shortId(s.id)).join(' ')}`,
      };
      const output = await emitList<Match, FindOutput>(face, form, (emit) =>
        face.run(find, find.input.parse({ patterns, ...options }), { ...uses, emit }),
      );
      tellFailed(output.failed, face);
      if (output.failed.length > 0) face.exitStatus = 1;
      if (output.count === 0) face.screen.say('nothing found');
    });
}
