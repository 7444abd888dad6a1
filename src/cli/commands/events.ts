import type { Command } from 'commander';
import type { ListEventsOutput } from '../../operations/runs/list-events.ts';
import type { Face } from '../face.ts';
import { localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

interface Options {
  readonly type?: string[];
  readonly severity?: string[];
  readonly source?: string;
  readonly repository?: string;
  readonly run?: string;
  readonly limit: string;
  readonly cursor?: string;
}

export function add(program: Command, face: Face): void {
  program
    .command('events')
    .description('what happened, newest first')
    .option('--type <type...>', 'only of these types, like backup.failed')
    .option('--severity <severity...>', 'info, warning, error')
    .option('--source <name>', 'only about this source')
    .option('--repository <name>', 'only about this repository')
    .option('--run <id>', 'only about this run')
    .option('--limit <count>', 'at most so many', '50')
    .option('--cursor <id>', 'go on after this event')
    .action(async ({ type, severity, limit, ...filter }: Options) => {
      const { listEvents } = await import('../../operations/runs/list-events.ts');
      const input = { ...filter, types: type, severities: severity, limit: Number(limit) };
      await withCatalogue(face, (uses) => face.perform(listEvents, input, uses, { text: describe }));
    });
}

function describe({ events, next }: ListEventsOutput): string {
  if (events.length === 0) return 'nothing happened yet';
  const rows = table(events, [
    { title: 'TIME', value: (event) => localTime(event.atMs) },
    { title: 'SEVERITY', value: (event) => event.severity },
    { title: 'EVENT', value: (event) => event.type },
    { title: 'WHAT', value: (event) => event.title },
  ]);
  return next === undefined ? rows : `${rows}\nmore: --cursor ${next}`;
}
