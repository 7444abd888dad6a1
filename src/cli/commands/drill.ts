import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { DrillOutput, DrillResult } from '../../operations/snapshots/drill.ts';
import type { Face } from '../face.ts';
import { shortId } from '../table.ts';

const mostFailures = 20;

export function add(program: Command, face: Face): void {
  program
    .command('drill')
    .description('restore into a throwaway place, compare with what the backup recorded, keep the proof')
    .argument('[target...]', 'sources (their newest snapshot) or snapshots')
    .option('--policy <name>', 'all sources of this policy, in each of their repositories')
    .option('--all', 'all sources, in each of their repositories')
    .option('--repository <name>', 'from this repository only')
    .option('--place <directory>', 'where the throwaway directory is made (default: the system’s temporary directory)')
    .action(async (targets: string[], options: { repository?: string }) => {
      face.screen.makesProgress();
      const { drill } = await import('../../operations/snapshots/drill.ts');
      await face.perform(drill, { targets, ...options }, await face.uses(options.repository), {
        wrong: (output) => !output.ok,
        text: describe,
      });
    });
}

function describe(output: DrillOutput): string {
  return output.results.map(describeOne).join('\n');
}

export function describeOne(result: DrillResult): string {
  const { proof, error, repository, away } = result;
  const subject = repository === undefined ? result.target : `${result.target} in ${repository}`;
  if (away !== undefined) return `· ${subject}: not drilled, it is away: ${away}`;
  if (!proof) return `✗ ${subject}: ${error?.message}\n    ${error?.remedy}`;
  const where = proof.instance === undefined ? '' : ` on ${proof.instance}`;
  const times = `restored ${formatBytes(proof.restoredBytes)}${where} in ${formatDuration(proof.restoreMs)}, compared in ${formatDuration(proof.compareMs)}`;
  const title = `${proof.source}${repository === undefined ? '' : ` in ${repository}`} · snapshot ${shortId(proof.snapshot)} · ${times}`;
  if (result.ok) return `✓ PROVEN ${title} · ${proof.checksTotal} checks, all equal`;
  const failed = proof.checks.filter((check) => !check.ok).slice(0, mostFailures);
  return [
    `✗ FAILED ${title} · ${proof.checksFailed} of ${proof.checksTotal} checks failed`,
    ...(proof.error ? [`    ${proof.error.message}`, `    ${proof.error.remedy}`] : []),
    ...failed.map((one) => `    ${one.subject}: ${one.measure} is ${one.found}, the backup recorded ${one.expected}`),
  ].join('\n');
}
