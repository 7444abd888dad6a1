import type { Command } from 'commander';
import type { ApplyOutput } from '../../operations/configuration/apply.ts';
import type { Face } from '../face.ts';
import { describeChanges } from '../plan-text.ts';
import { withCatalogue } from '../with-catalogue.ts';

export function add(program: Command, face: Face): void {
  program
    .command('apply')
    .description('put holdfast.yaml to use: check it, remember it, and wait until a running server has taken it up')
    .option('--init', 'make repositories that are not there yet')
    .option('--accept-dangers', 'also what the plan marks with «!!»')
    .action(async (options: object) => {
      const { apply } = await import('../../operations/configuration/apply.ts');
      await withCatalogue(face, async (uses) => {
        await face.perform(apply, options, uses, { text: describe, wrong: (output) => !output.ok });
      });
    });
}

const states = {
  there: 'is there',
  made: 'was made',
  missing: 'is missing',
  away: 'is not connected now',
  failed: 'cannot be opened',
} as const;

function describe({ file, changes, repositories, server }: ApplyOutput): string {
  const rows = repositories.map(
    ({ name, state, message }) => `repository ${name} ${states[state]}${message === undefined ? '' : `: ${message}`}`,
  );
  const end = server === 'taken' ? 'the server uses it' : 'no server runs: it counts from the next command or start on';
  return [...describeChanges(changes), ...rows, `${file} is applied; ${end}`].join('\n');
}
