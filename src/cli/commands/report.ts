import type { Command } from 'commander';
import type { Face } from '../face.ts';

export function add(program: Command, face: Face): void {
  program
    .command('report')
    .description('what a month was like: runs day by day, what did not go well, how repositories grew (Markdown)')
    .option('--since <time>', 'from this instant, like 2026-11-01T00:00Z (default: 30 days before the end)')
    .option('--until <time>', 'to this instant (default: now)')
    .option('--timezone <name>', 'whose days, like Europe/Madrid (default: those of this machine)')
    .action(async (options: { since?: string; until?: string; timezone?: string }) => {
      const [{ report }, { openLocalCatalogue }, { reportText }] = await Promise.all([
        import('../../operations/report/report.ts'),
        import('../../operations/open-catalogue.ts'),
        import('../report-text.ts'),
      ]);
      const uses = await face.uses();
      await using local = await openLocalCatalogue(uses);
      await face.perform(report, options, { ...uses, ...local }, { text: reportText });
    });
}
