import type { Command } from 'commander';
import type { PinOutput } from '../../operations/snapshots/pins.ts';
import type { Face } from '../face.ts';
import { shortId } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('pin')
    .description('never let a snapshot be removed')
    .argument('<snapshot...>', 'ids, or SOURCE@TIME')
    .option('--repository <name>', 'the repository they are in')
    .action(async (snapshots: string[], options: { repository?: string }) => {
      const { pin } = await import('../../operations/snapshots/pins.ts');
      await face.perform(pin, { snapshots, ...options }, await face.uses(options.repository), { text: describePins });
    });
}

export function describePins(output: PinOutput): string {
  return output.snapshots
    .map(
      (one) => `✓ snapshot ${shortId(one.id)} in ${one.repository} is ${one.pinned ? 'pinned' : 'not pinned any more'}`,
    )
    .join('\n');
}
