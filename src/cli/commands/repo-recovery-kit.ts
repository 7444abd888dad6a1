import type { Command } from 'commander';
import type { Face } from '../face.ts';

/** `repo recovery-kit`. */
export function addRecoveryKit(repo: Command, face: Face): void {
  repo
    .command('recovery-kit')
    .description('a page to print: all that is needed to restore, with Holdfast and without it')
    .argument('<repository>', 'a name or an address')
    .option('--output <file>', 'write it to this file, which must not exist (default: print it)')
    .option('--format <format>', 'markdown or html (default: by the name of the file)')
    .option('--show-password', 'print the password, too, instead of a place to write it by hand')
    .action(async (repository: string, options: object) => {
      const { recoveryKit } = await import('../../operations/recovery-kit/recovery-kit.ts');
      await face.perform(recoveryKit, { repository, ...options }, await face.uses(repository), {
        wrong: ({ incomplete }) => incomplete.length > 0,
        text: ({ file, text, incomplete }) => {
          for (const one of incomplete) face.screen.say(`✗ ${one.source}: ${one.message}`);
          return file === undefined
            ? (text ?? '').trimEnd()
            : `✓ wrote ${file}: print it, write the password on it, and keep it away from this machine`;
        },
      });
    });
}
