import { Argument, type Command } from 'commander';
import { completionScript, type Shell, shells } from '../completion.ts';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('completion')
    .description('print a completion script, for example: source <(holdfast completion bash)')
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices([...shells]))
    .action((shell: Shell) => {
      const script = completionScript(shell, program);
      face.screen.result({ shell, script }, script.trimEnd());
    });
}
