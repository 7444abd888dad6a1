import type { Command } from 'commander';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { BackupOutput, StoredResult } from '../../operations/backup/backup.ts';
import type { Face } from '../face.ts';
import { describeState } from '../state-text.ts';
import { counted, shortId } from '../table.ts';

const mostListed = 20;

export function add(program: Command, face: Face): void {
  program
    .command('backup')
    .description('back sources up into their repositories')
    .argument('[source...]', 'names of sources')
    .option('--policy <name>', 'all sources of this policy')
    .option('--all', 'all sources')
    .option('--repository <name>', 'only into this repository')
    .option('--force', 'read every file again, whatever its size and times say')
    .option('--compression <level>', 'auto, fast, max or off', 'auto')
    .option('--wait <duration>', 'how long to wait while somebody else has the repository to themselves', '1m')
    .action(async (sources: string[], options: { wait: string; [name: string]: unknown }) => {
      face.screen.makesProgress();
      const [{ backup }, { waitMs }] = await Promise.all([
        import('../../operations/backup/backup.ts'),
        import('../options.ts'),
      ]);
      const input = { ...options, sources, lockWaitMs: waitMs(options.wait) };
      await face.perform(backup, input, await face.uses(), { text: describe, wrong: (output) => !output.ok });
    });
}

function describe(output: BackupOutput): string {
  return [...output.results.map(describeOne), ...output.states.flatMap(describeState)].join('\n');
}

function describeOne(result: StoredResult): string {
  const where = `${result.source} → ${result.repository}`;
  const afterwards = (result.window?.failures ?? []).map((failure) => `    FAILED: ${failure}`);
  if (result.away)
    return `${result.ok ? '·' : '✗'} ${where}: ${result.away.message}\n    it is caught up when it is there again`;
  if (result.action === 'copy') return describeCopy(result, where);
  if (result.error) {
    const lines = [`✗ ${where}: ${result.error.message}`, `    ${result.error.remedy}`];
    return [...lines, ...result.notes.map((note) => `    ${note}`), ...afterwards].join('\n');
  }
  const size = `${counted(result.files ?? 0, 'file')}, ${formatBytes(result.bytes ?? 0)}`;
  const added = `${formatBytes(result.addedBytes ?? 0)} new`;
  const lines = [
    `${result.ok ? '✓' : '!'} ${where}: snapshot ${shortId(result.snapshot ?? '')} · ${size} · ${added} · ${formatDuration(result.durationMs ?? 0)}`,
    ...result.notes.map((note) => `    ${note}`),
    ...listed(result.changedWhileRead.map((path) => `${path} changed while it was read`)),
    ...afterwards,
    ...(afterwards.length > 0 ? ['    the snapshot is complete and is kept'] : []),
  ];
  if (result.unreadable.length === 0) return lines.join('\n');
  const missing = `    INCOMPLETE: ${counted(result.unreadable.length, 'path')} could not be read and are not in the snapshot`;
  return [...lines, missing, ...listed(result.unreadable.map((one) => `${one.path}: ${one.message}`))].join('\n');
}

function describeCopy(result: StoredResult, where: string): string {
  const again = `    it is caught up by the next backup, or now: holdfast repo copy ${result.from} --to ${result.repository} --source ${result.source}`;
  const { copied = 0, left = 0, error } = result;
  if (error && copied === 0)
    return [`✗ ${where}: not copied: ${error.message}`, `    ${error.remedy}`, again].join('\n');
  if (copied === 0) return `✓ ${where}: has all that is to be copied there`;
  const count = `${counted(copied, 'snapshot')} copied from ${result.from}`;
  const done = `${count} · ${formatBytes(result.bytes ?? 0)} new · ${formatDuration(result.durationMs ?? 0)}`;
  if (!error) return `✓ ${where}: ${done}`;
  return [
    `! ${where}: ${done}`,
    `    ${counted(left, 'snapshot')} could not be copied: ${error.message}`,
    `    ${error.remedy}`,
    again,
  ].join('\n');
}

function listed(lines: readonly string[]): string[] {
  const shown = lines.slice(0, mostListed).map((line) => `    ${line}`);
  return lines.length > mostListed
    ? [...shown, `    … and ${lines.length - mostListed} more (--json lists all)`]
    : shown;
}
