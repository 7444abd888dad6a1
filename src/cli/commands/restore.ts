import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { RestoreOutput } from '../../operations/snapshots/restore.ts';
import type { Face } from '../face.ts';
import { collect } from '../options.ts';
import { counted, shortId } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('restore')
    .description('restore a snapshot, or a part of it')
    .argument(
      '<snapshot>',
      'an id, the beginning of one, SOURCE (its newest), SOURCE@latest or SOURCE@2026-11-20T03:00Z',
    )
    .option('--to <target>', 'where to: a directory for files, a file for sqlite')
    .option('--in-place', 'put it back where it came from, replacing what is there')
    .option('--overwrite', 'replace what is at the target; a database is kept aside under another name')
    .option('--include <pattern>', 'only what matches; may be repeated', collect)
    .option('--exclude <pattern>', 'not what matches; may be repeated', collect)
    .option('--dry-run', 'say what would be done, touch nothing')
    .option('--repository <name>', 'the repository it is in')
    .action(async (snapshot: string, options: { repository?: string }) => {
      face.screen.makesProgress();
      const { restore } = await import('../../operations/snapshots/restore.ts');
      await face.perform(restore, { snapshot, ...options }, await face.uses(options.repository), { text: describe });
    });
}

function describe(output: RestoreOutput): string {
  const what = `${counted(output.files, 'file')}, ${formatBytes(output.bytes)}`;
  const from = `snapshot ${shortId(output.snapshot)} of ${output.time.slice(0, 19).replace('T', ' ')}`;
  if (output.dryRun) {
    return [`would restore ${what} from ${from} to ${output.target}:`, ...output.steps.map((step) => `  ${step}`)].join(
      '\n',
    );
  }
  const problems = output.problems.map((problem) => `  ! ${problem}`);
  return [`✓ ${output.target}: ${what} from ${from} in ${formatDuration(output.durationMs)}`, ...problems].join('\n');
}
