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
        await face.perform(runDue, {}, uses, { wrong: (output) => !output.ok, text: describe });
      });
    });
}

function describe({ runs, left, untold }: RunDueOutput): string {
  const lines = runs.map(({ kind, source, repository, state, error }) => {
    const mark = state === 'succeeded' ? '✓' : '✗';
    const what = [kind, source, repository === undefined ? undefined : `(${repository})`].filter(Boolean).join(' ');
    if (!error) return `${mark} ${what}: ${state}`;
    return [`${mark} ${what}: ${state}: ${error.message}`, `    ${error.remedy}`].join('\n');
  });
  if (runs.length === 0) lines.push('nothing was due');
  if (left > 0) lines.push(`${left} ${left === 1 ? 'run is' : 'runs are'} left for later`);
  if (untold > 0)
    lines.push(
      `${untold} ${untold === 1 ? 'notification waits' : 'notifications wait'} for the next call (holdfast notify list)`,
    );
  return lines.join('\n');
}
