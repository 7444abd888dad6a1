import type { Command } from 'commander';
import type { CoverageOutput } from '../../operations/coverage/coverage.ts';
import type { Face } from '../face.ts';
import { collect, waitMs } from '../options.ts';
import { counted, table } from '../table.ts';

interface Options {
  readonly root?: string[];
  readonly host?: string[];
  readonly timeout?: string;
  readonly ignore?: string[];
  readonly look: boolean;
}

export function add(program: Command, face: Face): void {
  program
    .command('coverage')
    .description('what is protected and proven when, and what is not covered at all (exit status 1 if anything)')
    .option('--root <directory>', 'search here for databases, instead of the usual places; may be repeated', collect)
    .option('--host <name>', 'look only at this machine (local: this one); may be repeated', collect)
    .option('--timeout <time>', 'how long each machine and server may take (default: 20s)')
    .option('--ignore <pattern>', 'leave out what fits, e.g. "volume cache*"; may be repeated', collect)
    .option('--no-look', 'judge what is declared, look at no machine')
    .action(async ({ root = [], host, timeout, ignore = [], look }: Options) => {
      const { coverage } = await import('../../operations/coverage/coverage.ts');
      const timeoutMs = timeout === undefined ? undefined : waitMs(timeout);
      const input = { roots: root, hosts: host, timeoutMs, ignore, look };
      await face.perform(coverage, input, await face.uses(), { text: describe, wrong: (output) => !output.ok });
    });
}

function describe(output: CoverageOutput): string {
  const uncovered = output.gaps.filter((one) => one.level === 'uncovered').length;
  const looked = output.looked.map((one) => one.host).join(', ');
  const total =
    output.gaps.length === 0
      ? `nothing is uncovered, as far as could be seen${looked === '' ? '' : ` (${looked})`}`
      : `${uncovered} not covered at all, ${counted(output.gaps.length - uncovered, 'other gap')}`;
  const left = output.ignored > 0 ? [`${counted(output.ignored, 'gap')} left out by --ignore`] : [];
  return [protectedTable(output), '', ...output.gaps.map(describeGap), ...left, total].join('\n');
}

function protectedTable({ protected: rows }: CoverageOutput): string {
  if (rows.length === 0) return 'nothing is protected yet';
  return table(rows, [
    { title: 'SOURCE', value: (one) => one.source },
    { title: 'DRIVER', value: (one) => one.driver },
    { title: 'HOST', value: (one) => one.host },
    { title: 'POLICY', value: (one) => `${one.policy ?? '–'}${one.scheduled ? '' : ' (no schedule)'}` },
    { title: 'STORED IN', value: (one) => one.copies.map(describeCopy).join(', ') },
    { title: 'PROVEN (UTC)', value: (one) => lastProven(one)?.slice(0, 16).replace('T', ' ') ?? 'never' },
  ]);
}

function describeCopy({
  repository,
  elsewhere,
  newest,
}: CoverageOutput['protected'][number]['copies'][number]): string {
  return `${repository}${elsewhere ? ' (elsewhere)' : ''}${newest === undefined ? ' (empty)' : ''}`;
}

function lastProven({ copies }: CoverageOutput['protected'][number]): string | undefined {
  return copies
    .flatMap(({ proven }) => (proven === undefined ? [] : [proven]))
    .toSorted()
    .at(-1);
}

const signs = { uncovered: '✗', unknown: '?', weak: '!' } as const;

function describeGap({ level, message, remedy, yaml }: CoverageOutput['gaps'][number]): string {
  const lines = (yaml ?? '').split('\n').filter((line) => line !== '');
  return [`${signs[level]} ${message}`, `    → ${remedy}`, ...lines.map((line) => `      ${line}`)].join('\n');
}
