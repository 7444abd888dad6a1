import type { Command } from 'commander';
import type { Face } from '../face.ts';
import { describePins } from './pin.ts';

export function add(program: Command, face: Face): void {
  program
    .command('unpin')
    .description('leave a snapshot to retention again')
    .argument('<snapshot...>', 'ids, or SOURCE@TIME')
    .option('--repository <name>', 'the repository they are in')
    .action(async (snapshots: string[], options: { repository?: string }) => {
      const { unpin } = await import('../../operations/snapshots/pins.ts');
      await face.perform(unpin, { snapshots, ...options }, await face.uses(options.repository), { text: describePins });
    });
}
