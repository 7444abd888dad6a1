import type { Command } from 'commander';
import { checkText } from '../check-text.ts';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  const storage = program.command('storage').description('try out a place to store');
  storage
    .command('check')
    .description(
      'run the suite every storage must pass against a place of yours, which has to be there; removes what it stored',
    )
    .argument('<url>', 'a directory or URL, or the name of a repository')
    .action(async (url: string) => {
      face.screen.makesProgress();
      const { storageCheck } = await import('../../operations/repositories/storage-check.ts');
      const address = /[/:]/.test(url) ? url : undefined;
      await face.perform(storageCheck, { url }, await face.uses(address), {
        wrong: (output) => !output.ok,
        text: ({ cases, location }) => checkText(cases, `at ${location}`),
      });
    });
}
