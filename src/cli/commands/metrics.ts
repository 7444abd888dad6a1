import type { Command } from 'commander';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('metrics')
    .description('figures for Prometheus, as text')
    .option('--textfile <file>', 'write them to this file in one step, for the node_exporter (NAME.prom)')
    .action(async (options: object) => {
      const { metrics } = await import('../../operations/metrics/metrics.ts');
      await face.perform(metrics, options, await face.uses(), {
        text: ({ file, text }) => (file === undefined ? (text ?? '').trimEnd() : `✓ wrote ${file}`),
      });
    });
}
