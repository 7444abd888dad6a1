import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { CopyOutput } from '../../operations/repositories/repo-copy.ts';
import type { Face } from '../face.ts';
import { collect } from '../options.ts';
import { describeState } from '../state-text.ts';
import { counted, localTime, shortId, table } from '../table.ts';

const which = 'a name in holdfast.yaml, or an address';

export function addCopyCommand(repo: Command, face: Face): void {
  repo
    .command('copy')
    .description('copy snapshots into another repository; what is there already is not sent again')
    .argument('<from>', `where they are: ${which}`)
    .requiredOption('--to <repository>', `where they go: ${which}`)
    .option('--snapshot <snapshot>', 'only this one, whatever is kept there; may be repeated', collect)
    .option('--source <source>', 'only snapshots of this source; may be repeated', collect)
    .option('--all', 'also what the rules of the other repository would remove again')
    .option('--dry-run', 'say what would be copied, write nothing')
    .option('--compression <level>', 'auto, fast, max or off', 'auto')
    .option('--wait <duration>', 'how long to wait while somebody else has one of them to themselves', '1m')
    .action(async (from: string, options: CopyOptions) => {
      face.screen.makesProgress();
      const [{ repoCopy }, { waitMs }] = await Promise.all([
        import('../../operations/repositories/repo-copy.ts'),
        import('../options.ts'),
      ]);
      const { snapshot: snapshots, source: sources, wait, ...others } = options;
      const input = { from, snapshots, sources, lockWaitMs: waitMs(wait), ...others };
      await face.perform(repoCopy, input, await face.uses(from), { text: describeCopy, wrong: (output) => !output.ok });
    });
}

interface CopyOptions {
  readonly to: string;
  readonly snapshot?: string[];
  readonly source?: string[];
  readonly wait: string;
  readonly [name: string]: unknown;
}

function describeCopy(output: CopyOutput): string {
  const { from, to, dryRun, copied, failed } = output;
  const rows = table(copied, [
    { title: dryRun ? 'WOULD COPY' : 'COPIED', value: (one) => shortId(one.snapshot) },
    ...(dryRun ? [] : [{ title: 'AS', value: (one: CopyOutput['copied'][number]) => shortId(one.copy ?? '') }]),
    { title: 'TIME', value: (one) => localTime(one.timeMs) },
    { title: 'SOURCE', value: (one) => one.source ?? '' },
    { title: 'NEW', align: 'right', value: (one) => formatBytes(one.bytes) },
  ]);
  const faults = failed.map(
    (one) => `✗ ${shortId(one.snapshot)} of ${one.source ?? 'another program'}: ${one.message}\n    ${one.remedy}`,
  );
  const count = counted(copied.length, 'snapshot');
  const work = dryRun
    ? `${count} would be copied from ${from} to ${to}, ${formatBytes(output.bytes)} to read`
    : `${count} copied from ${from} to ${to} · ${formatBytes(output.bytes)} read, ${formatBytes(output.storedBytes)} stored · ${formatDuration(output.durationMs)}`;
  const total = copied.length + failed.length === 0 ? `✓ ${to} has everything that is to be copied from ${from}` : work;
  const cuts = output.sameCuts || copied.length === 0 ? [] : [otherCuts(to)];
  const state = output.state ? describeState(output.state) : [];
  return [...(copied.length > 0 ? [rows] : []), ...faults, total, ...cuts, ...state].join('\n');
}

function otherCuts(to: string): string {
  return `note: ${to} cuts files in other places: copies share their data with copies, but not with backups made straight into it`;
}
