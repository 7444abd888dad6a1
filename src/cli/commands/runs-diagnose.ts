import type { Command } from 'commander';
import type { DiagnoseOutput } from '../../operations/runs/diagnose-run.ts';
import type { Face } from '../face.ts';
import { counted } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

/** `runs diagnose`. */
export function addDiagnose(runs: Command, face: Face): void {
  runs
    .command('diagnose')
    .description('why a run failed, what changed since the last success, and what to do next')
    .argument('[id]', 'its id, or a beginning that no other has (default: the newest that failed)')
    .option('--source <name>', 'the newest failed run of this source')
    .action(async (id: string | undefined, options: { source?: string }) => {
      const { diagnoseRun } = await import('../../operations/runs/diagnose-run.ts');
      await withCatalogue(face, (uses) => face.perform(diagnoseRun, { id, ...options }, uses, { text: describe }));
    });
}

function describe({ run, error, log, lastSuccess, failuresSince, changes, alsoFailed, next }: DiagnoseOutput): string {
  const { id, kind, source, state, time } = run;
  const since = lastSuccess
    ? `; it last succeeded ${shortTime(lastSuccess.time)}`
    : '; it never succeeded, as far as is remembered';
  return [
    `${kind}${source === undefined ? '' : ` of ${source}`} ${state} ${shortTime(time)} (${id}), ${counted(failuresSince, 'failure')} in a row${since}`,
    ...(error ? [`✗ ${error.message} [${error.code}]`, `    ${error.remedy}`] : []),
    ...section('its log:', log),
    ...section(
      'changed since:',
      changes.map((one) => `${shortTime(one.time)} ${one.title}`),
    ),
    ...section(
      'failed within the same hour:',
      alsoFailed.map(
        (one) =>
          `${one.kind} of ${one.source ?? '–'} [${one.code ?? ''}]${one.shares.length > 0 ? `, same ${one.shares.join(', ')}` : ''}`,
      ),
    ),
    `→ ${next.action}: ${next.why}`,
  ].join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `    ${line}`)];
}

function shortTime(instant: string): string {
  return `${instant.slice(0, 16).replace('T', ' ')} UTC`;
}
