import type { Command } from 'commander';
import { formatBytes } from '../../base/bytes.ts';
import type { ForgetOutput } from '../../operations/snapshots/forget.ts';
import type { Face } from '../face.ts';
import { retentionOf } from '../options.ts';
import { localTime, shortId, table } from '../table.ts';

export function add(program: Command, face: Face): void {
  const command = program
    .command('forget')
    .description(
      'remove snapshots: by the rules of sources, or by name; pinned, newest good and newest proven ones stay',
    )
    .argument('[target...]', 'sources, whose rules are applied; or snapshots to remove (an id, SOURCE@TIME)')
    .option('--policy <name>', 'all sources of this policy')
    .option('--all', 'all sources')
    .option('--repository <name>', 'only in this repository');
  for (const period of ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly']) {
    command.option(
      `--keep-${period} <n>`,
      period === 'last' ? 'instead of the policy’s rules: the newest n' : `one for each of n ${periods[period]}`,
    );
  }
  command
    .option('--keep-within <span>', 'all within a span like 7d or 1y5m7d2h before the newest')
    .option('--dry-run', 'say what would be removed, and why the others stay')
    .option('--prune', 'free the space afterwards')
    .action(async (targets: string[], options: { repository?: string; prune?: boolean }) => {
      if (options.prune) face.screen.makesProgress();
      const { forget } = await import('../../operations/snapshots/forget.ts');
      const input = { ...options, targets, keep: retentionOf(options) };
      await face.perform(forget, input, await face.uses(options.repository), { text: describe });
    });
}

const periods: Readonly<Record<string, string>> = {
  hourly: 'hours',
  daily: 'days',
  weekly: 'weeks',
  monthly: 'months',
  yearly: 'years',
};

function describe(output: ForgetOutput): string {
  const rows = table(output.decisions, [
    { title: '', value: (one) => (one.keep ? 'keep' : output.dryRun ? 'would remove' : 'removed') },
    { title: 'ID', value: (one) => shortId(one.snapshot) },
    { title: 'TIME', value: (one) => localTime(one.timeMs) },
    { title: 'SOURCE', value: (one) => one.source ?? '' },
    { title: 'REPOSITORY', value: (one) => one.repository },
    { title: 'BECAUSE', value: (one) => one.reasons.join(', ') },
  ]);
  const freed = output.pruned.map((one) => `✓ ${one.repository}: ${formatBytes(one.freedBytes)} freed`);
  const total = `${output.kept} kept, ${output.removed} ${output.dryRun ? 'would be removed' : 'removed'}`;
  return [...(output.decisions.length > 0 ? [rows] : []), total, ...freed].join('\n');
}
