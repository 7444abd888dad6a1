import type { Command } from 'commander';
import type { RunbookOutput } from '../../operations/runbook/runbook.ts';
import type { Face } from '../face.ts';
import { counted } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('runbook')
    .description('the exact steps to restore a source, with Holdfast and without it, as Markdown')
    .argument('[sources...]', 'names of sources')
    .option('--all', 'of every declared source')
    .option('--to <directory>', 'write one file for each source there, in place of an older one')
    .action(async (sources: string[], options: object) => {
      const { runbook } = await import('../../operations/runbook/runbook.ts');
      await face.perform(runbook, { sources, ...options }, await face.uses(), {
        text: describe,
        wrong: (output) => !output.ok,
      });
    });
}

function describe({ runbooks }: RunbookOutput): string {
  const [only] = runbooks;
  if (only?.text !== undefined) return only.text.trimEnd();
  const failed = runbooks.filter((one) => one.error !== undefined);
  return [
    ...failed.map(({ source, error }) => `✗ ${source}: ${error?.message}\n    ${error?.remedy}`),
    `wrote ${counted(runbooks.length - failed.length, 'runbook')}`,
  ].join('\n');
}
