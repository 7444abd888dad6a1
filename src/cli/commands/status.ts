import type { Command } from 'commander';
import { formatDuration } from '../../base/bytes.ts';
import type { SourceState, StatusOutput } from '../../operations/status.ts';
import type { Face } from '../face.ts';
import { counted } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('status')
    .description('what is not safely restorable now, and why (exit status 1 if anything)')
    .action(async () => {
      const { status } = await import('../../operations/status.ts');
      await face.perform(status, {}, await face.uses(), { text: describe, wrong: (output) => !output.ok });
    });
}

function describe(output: StatusOutput): string {
  const unreachable = output.repositories
    .filter((one) => !one.ok)
    .map((one) => `✗ repository ${one.name}: ${one.message}\n    ${one.remedy}`);
  const wrong = output.sources.filter((one) => !one.ok);
  const right = output.sources.filter((one) => one.ok);
  if (output.sources.length === 0) return [...unreachable, 'no source is declared: nothing is protected'].join('\n');
  const total = output.ok
    ? `everything declared can be restored, as far as was proven: ${counted(right.length, 'source')}`
    : `${wrong.length} of ${counted(output.sources.length, 'source')} not safely restorable`;
  return [...unreachable, ...wrong.map(describeWrong), ...right.map(describeRight), total].join('\n');
}

function describeWrong(state: SourceState): string {
  const concerns = state.concerns.map((one) => `    ${one.message}\n      → ${one.remedy}`);
  return [`✗ ${state.source} in ${state.repository}`, ...concerns].join('\n');
}

function describeRight({ source, repository, newest, proof }: SourceState): string {
  const age = newest ? `newest snapshot ${formatDuration(Math.max(0, newest.ageMs))} old` : '';
  const proven = proof
    ? `, proven ${formatDuration(Math.max(0, proof.ageMs))} ago, restored in ${formatDuration(proof.restoreMs)}`
    : '';
  return `✓ ${source} in ${repository}: ${age}${proven}`;
}
