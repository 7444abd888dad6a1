import type { Command } from 'commander';
import { checkText } from '../check-text.ts';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  const host = program.command('host').description('try out a host');
  host
    .command('check')
    .description('run the suite every host must pass against one of yours; leaves nothing behind')
    .argument('<host>', 'the name of a host')
    .action(async (name: string) => {
      face.screen.makesProgress();
      const { hostCheck } = await import('../../operations/sources/host-check.ts');
      await face.perform(hostCheck, { host: name }, await face.uses(), {
        wrong: (output) => !output.ok,
        text: ({ cases, limits, hostname }) =>
          [checkText(cases, `on ${hostname}`), ...limits.map((limit) => `limit: ${limit}`)].join('\n'),
      });
    });
}
