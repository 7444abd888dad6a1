import type { Command } from 'commander';
import { parseInstant } from '../../base/clock.ts';
import type { PinOutput } from '../../operations/snapshots/pins.ts';
import type { Face } from '../face.ts';
import { localTime, shortId } from '../table.ts';

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
  return output.snapshots.map(describePin).join('\n');
}

function describePin(one: PinOutput['snapshots'][number]): string {
  const { id, repository, pinned, changed, source, others = [], lookedIn = [repository] } = one;
  const subject = `snapshot ${shortId(id)} in ${repository}`;
  if (pinned) return `✓ ${subject} is pinned`;
  if (changed) return `✓ ${subject} is not pinned any more`;
  const whose = source === undefined ? '' : ` of ${source}`;
  if (others.length === 0) return `· ${subject} was not pinned, and no other${whose} is in ${lookedIn.join(', ')}`;
  const named = others.map(
    (other) => `    ${shortId(other.id)}  ${localTime(parseInstant(other.time) ?? 0)}  ${other.repository}`,
  );
  return [`· ${subject} was not pinned; nothing was changed. Pinned${whose}:`, ...named].join('\n');
}
