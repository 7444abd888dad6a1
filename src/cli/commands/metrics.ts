import type { Command } from 'commander';
import type { Face } from '../face.ts';
import { withServed } from '../served.ts';

export function add(program: Command, face: Face): void {
  program
    .command('metrics')
    .description('figures for Prometheus, as text')
    .option('--textfile <file>', 'write them to this file in one step, for the node_exporter (NAME.prom)')
    .action(async (options: object) => {
      const { metrics } = await import('../../operations/metrics/metrics.ts');
      await withServed(face, false, async (uses) => {
        await face.perform(metrics, options, uses, {
          text: ({ file, text }) => (file === undefined ? (text ?? '').trimEnd() : `✓ wrote ${file}`),
        });
      });
    });
}
