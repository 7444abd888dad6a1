import type { Command } from 'commander';
import type { NotifyListOutput } from '../../operations/notify/notify-list.ts';
import type { NotifyTestOutput } from '../../operations/notify/notify-test.ts';
import type { Face } from '../face.ts';
import { localTime, table } from '../table.ts';
import { withCatalogue } from '../with-catalogue.ts';

interface ListOptions {
  readonly channel?: string;
  readonly state?: string;
  readonly limit: string;
}

export function add(program: Command, face: Face): void {
  const notify = program.command('notify').description('who is told of what: try channels out, see what was sent');
  notify
    .command('test')
    .description('send a message through a channel, or through all of them')
    .argument('[channel]', 'a name under «notifications:»')
    .action(async (channel: string | undefined) => {
      const { notifyTest } = await import('../../operations/notify/notify-test.ts');
      await face.perform(notifyTest, { channel }, await face.uses(), { wrong: ({ ok }) => !ok, text: describeTrial });
    });
  notify
    .command('list')
    .description('what was told, waits to be told, or could not be; newest first')
    .option('--channel <name>', 'only through this channel')
    .option('--state <state>', 'waiting, sent, folded (told with another one), failed')
    .option('--limit <count>', 'at most so many', '50')
    .action(async ({ limit, ...filter }: ListOptions) => {
      const { notifyList } = await import('../../operations/notify/notify-list.ts');
      const input = { ...filter, limit: Number(limit) };
      await withCatalogue(face, (uses) => face.perform(notifyList, input, uses, { text: describeList }));
    });
}

function describeTrial({ channels }: NotifyTestOutput): string {
  if (channels.length === 0) return 'no channel is declared under «notifications:»';
  return channels
    .map(({ name, kind, ok, title, tookMs, error }) => {
      const where = title === undefined ? '' : `: ${title}`;
      if (ok) return `✓ ${name} (${kind}${where}), ${tookMs} ms`;
      return `✗ ${name} (${kind}${where})\n  ${error?.message}\n  ${error?.remedy}`;
    })
    .join('\n');
}

function describeList({ deliveries }: NotifyListOutput): string {
  if (deliveries.length === 0) return 'nothing was to be told';
  return table(deliveries, [
    { title: 'TIME', value: (one) => localTime(one.atMs) },
    { title: 'CHANNEL', value: (one) => one.channel },
    { title: 'STATE', value: (one) => (one.nextAtMs === undefined ? one.state : `next ${localTime(one.nextAtMs)}`) },
    { title: 'TRIES', value: (one) => String(one.attempts) },
    { title: 'WHAT', value: (one) => one.title },
    { title: 'ERROR', value: (one) => one.lastError ?? '' },
  ]);
}
