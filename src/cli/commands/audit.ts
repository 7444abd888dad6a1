import type { Command } from 'commander';
import { parseInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { AuditOutput } from '../../operations/accounts/audit.ts';
import type { Face } from '../face.ts';
import { localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

interface ListOptions {
  readonly actor?: string;
  readonly action?: string;
  readonly subject?: string;
  readonly outcome?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
  readonly cursor?: string;
}

export function add(program: Command, face: Face): void {
  program
    .command('audit')
    .description('who did what')
    .command('list')
    .description('what was done and what was refused, newest first')
    .option('--actor <name>', 'only by this user or token')
    .option('--action <action>', 'only this, like user.add, or user for all of those')
    .option('--subject <name>', 'only to this')
    .option('--outcome <outcome>', 'done, refused or failed')
    .option('--since <time>', 'like 2026-11-20 or 2026-11-20T03:00Z')
    .option('--until <time>', 'before then')
    .option('--limit <count>', 'at most so many', '100')
    .option('--cursor <id>', 'go on after this entry')
    .action(async ({ since, until, limit, ...filter }: ListOptions) => {
      const { listAudit } = await import('../../operations/accounts/audit.ts');
      const times = { fromMs: instantOf(since), untilMs: instantOf(until) };
      const input = { ...filter, ...times, limit: Number(limit) };
      await withCatalogue(face, (uses) => face.perform(listAudit, input, uses, { text: describe }));
    });
}

function instantOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseInstant(text);
  if (ms !== undefined) return ms;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${text}» is not a time`,
    remedy: 'Write it like 2026-11-20 or 2026-11-20T03:00Z.',
  });
}

function describe({ entries, next }: AuditOutput): string {
  if (entries.length === 0) return 'nothing was done';
  const rows = table(entries, [
    { title: 'TIME', value: (one) => localTime(one.atMs) },
    { title: 'WHO', value: (one) => one.actor },
    { title: 'ACTION', value: (one) => one.action },
    { title: 'TO', value: (one) => one.subject ?? '' },
    { title: '', value: (one) => (one.outcome === 'done' ? '' : one.outcome) },
    { title: 'FROM', value: (one) => one.address ?? '' },
    {
      title: 'DETAILS',
      value: (one) =>
        Object.entries(one.facts)
          .map(([key, value]) => `${key}=${value}`)
          .join(' '),
    },
  ]);
  return next === undefined ? rows : `${rows}\nmore: --cursor ${next}`;
}
