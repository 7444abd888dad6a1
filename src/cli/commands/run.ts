import type { Command } from 'commander';
import type { RunDueOutput } from '../../operations/runs/run-due.ts';
import type { Face } from '../face.ts';
import { withCatalogue } from '../with-catalogue.ts';

export function add(program: Command, face: Face): void {
  program
    .command('run')
    .description('do what is due now, and end: for an external cron instead of a server')
    .option('--due', 'what the schedules ask for (which is all there is to choose)', true)
    .action(async () => {
      face.screen.makesProgress();
      const { runDue } = await import('../../operations/runs/run-due.ts');
      await withCatalogue(face, async (uses) => {
        await face.perform(runDue, {}, uses, { wrong: (output) => !output.ok, text: describeDue });
      });
    });
}

export function describeDue({ runs, left, untold }: RunDueOutput): string {
  const lines = runs.map(describeRun);
  if (runs.length === 0) lines.push('nothing was due');
  if (left > 0) lines.push(`${left} ${left === 1 ? 'run is' : 'runs are'} left for later`);
  if (untold > 0)
    lines.push(
      `${untold} ${untold === 1 ? 'notification waits' : 'notifications wait'} for the next call (holdfast notify list)`,
    );
  return lines.join('\n');
}

function describeRun({ kind, source, repository, state, error }: RunDueOutput['runs'][number]): string {
  const mark = state === 'succeeded' ? '✓' : state === 'cancelled' ? '·' : '✗';
  const what = [kind, source, repository === undefined ? undefined : `(${repository})`].filter(Boolean).join(' ');
  if (!error) return `${mark} ${what}: ${state}`;
  // Nobody took it back: there was nothing to do, as with the drill of a disk that is away.
  const how = state === 'cancelled' && error.code !== 'cancelled' ? 'left out' : state;
  return [`${mark} ${what}: ${how}: ${error.message}`, `    ${error.remedy}`].join('\n');
}
