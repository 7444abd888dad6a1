import type { Command } from 'commander';
import { checkText } from '../check-text.ts';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  const driver = program.command('driver').description('try out a driver');
  driver
    .command('check')
    .description('run the suite every driver must pass against a source of yours; it only reads')
    .argument('<source>', 'the name of a source')
    .option('--place <directory>', 'where copies are made: needs room for the source twice')
    .action(async (source: string, options: object) => {
      face.screen.makesProgress();
      const { driverCheck } = await import('../../operations/sources/driver-check.ts');
      await face.perform(driverCheck, { source, ...options }, await face.uses(), {
        wrong: (output) => !output.ok,
        text: (output) => checkText(output.cases, `for ${output.source} (${output.driver})`),
      });
    });
}
