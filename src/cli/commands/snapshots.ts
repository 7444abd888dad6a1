import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { SnapshotView } from '../../operations/snapshots/snapshot-view.ts';
import type { Face } from '../face.ts';
import { type Column, counted, localTime, shortId, table } from '../table.ts';
import { tellFailed } from '../tell-failed.ts';

export function add(program: Command, face: Face): void {
  program
    .command('snapshots')
    .description('list snapshots, oldest first, each with its last proof')
    .argument('[source]', 'only those of this source')
    .option('--repository <name>', 'only in this repository')
    .option('--all', 'also those that hold the configuration (holdfast-state)')
    .action(async (source: string | undefined, options: { repository?: string; all?: boolean }) => {
      const { snapshots } = await import('../../operations/snapshots/snapshots.ts');
      await face.perform(snapshots, { source, ...options }, await face.uses(options.repository), {
        wrong: (output) => output.failed.length > 0,
        text: (output) => {
          tellFailed(output.failed, face);
          return output.snapshots.length === 0 ? 'no snapshots' : describe(output.snapshots);
        },
      });
    });
}

function describe(snapshots: readonly SnapshotView[]): string {
  const several = new Set(snapshots.map((one) => one.repository)).size > 1;
  const repository: Column<SnapshotView> = { title: 'REPOSITORY', value: (one) => one.repository };
  const text = table(snapshots, [
    { title: 'ID', value: (one) => shortId(one.id) },
    { title: 'TIME', value: (one) => localTime(one.timeMs) },
    { title: 'SOURCE', value: (one) => one.source ?? (one.tags.includes('holdfast-state') ? '(configuration)' : '') },
    { title: 'HOST', value: (one) => one.hostname ?? '' },
    ...(several ? [repository] : []),
    { title: 'SIZE', align: 'right', value: (one) => sizeOf(one.bytes) },
    { title: 'NEW', align: 'right', value: (one) => sizeOf(one.addedBytes) },
    { title: 'PROOF', value: proofOf },
    { title: 'PATHS', value: (one) => (one.pinned ? `[pinned] ${one.paths.join(' ')}` : one.paths.join(' ')) },
  ]);
  return `${text}\n${counted(snapshots.length, 'snapshot')}`;
}

function sizeOf(bytes: number | undefined): string {
  return bytes === undefined ? '' : formatBytes(bytes);
}

function proofOf({ proof }: SnapshotView): string {
  if (!proof) return '–';
  return proof.verdict === 'passed' ? `proven in ${formatDuration(proof.restoreMs)}` : 'FAILED';
}
