import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { Face } from '../face.ts';
import { shortId, table } from '../table.ts';
import { tellFailed } from '../tell-failed.ts';

export function add(program: Command, face: Face): void {
  program
    .command('proofs')
    .description('list what was proven, oldest first')
    .argument('[source]', 'only those of this source')
    .option('--repository <name>', 'only in this repository')
    .action(async (source: string | undefined, options: { repository?: string }) => {
      const { proofs } = await import('../../operations/snapshots/proofs.ts');
      await face.perform(proofs, { source, ...options }, await face.uses(options.repository), {
        wrong: (output) => output.failed.length > 0,
        text: (output) => {
          tellFailed(output.failed, face);
          return output.proofs.length === 0
            ? 'nothing was proven yet; make a drill with: holdfast drill --all'
            : table(output.proofs, [
                { title: 'TIME (UTC)', value: (one) => one.time.slice(0, 19).replace('T', ' ') },
                { title: 'SOURCE', value: (one) => one.source },
                { title: 'SNAPSHOT', value: (one) => shortId(one.snapshot) },
                { title: 'REPOSITORY', value: (one) => one.repository },
                { title: 'VERDICT', value: (one) => (one.verdict === 'passed' ? 'passed' : 'FAILED') },
                { title: 'RESTORED', align: 'right', value: (one) => formatBytes(one.restoredBytes) },
                { title: 'RECOVERY TIME', align: 'right', value: (one) => formatDuration(one.restoreMs) },
                {
                  title: 'CHECKS',
                  align: 'right',
                  value: (one) => `${one.checksTotal - one.checksFailed}/${one.checksTotal}`,
                },
              ]);
        },
      });
    });
}
