import type { Command } from 'commander';
import { formatBytes } from '../../base/bytes.ts';
import type { Face } from '../face.ts';
import { shortId } from '../table.ts';

export function add(program: Command, face: Face): void {
  program
    .command('download')
    .description('save a file of a snapshot, decrypted, in its own format')
    .argument('<snapshot>', 'an id, the beginning of one, SOURCE, SOURCE@latest or SOURCE@2026-11-20T03:00Z')
    .argument('[path]', 'the file; the one file of the snapshot by default')
    .option('--to <file>', 'the file to write; it must not exist (default: its own name, here)')
    .option('--repository <name>', 'the repository it is in')
    .action(async (snapshot: string, path: string | undefined, options: { repository?: string }) => {
      face.screen.makesProgress();
      const { download } = await import('../../operations/snapshots/read-file.ts');
      await face.perform(download, { snapshot, path, ...options }, await face.uses(options.repository), {
        text: (one) => `✓ ${one.file}: ${formatBytes(one.bytes)} from snapshot ${shortId(one.snapshot)}`,
      });
    });
}
