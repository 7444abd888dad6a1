/** A report as Markdown, for a mail, a wiki or a terminal. */
import { formatBytes, formatDuration } from '../base/bytes.ts';
import { printableName } from '../base/names.ts';
import type { ReportOutput, ReportRow } from '../operations/report/report.ts';

export function reportText(report: ReportOutput): string {
  const { since, until, total } = report;
  return [
    `# Backups from ${since.slice(0, 10)} to ${until.slice(0, 10)}`,
    '',
    `${total.succeeded} runs went well, ${total.failed} failed, ${total.missed} were missed, ${total.cancelled} were cancelled.`,
    ...section('Day by day', dayLines(report)),
    ...section('What did not go well', troubleLines(report)),
    ...section('Repositories', sizeLines(report)),
  ].join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `## ${title}`, '', ...lines];
}

function dayLines({ rows, days }: ReportOutput): string[] {
  if (rows.length === 0) return ['Nothing was run.'];
  const width = Math.max(...rows.map((row) => titleOf(row).length));
  const ruler = days.map((day, i) => (i === 0 || day.slice(8, 10) === '01' ? '|' : ' ')).join('');
  return [
    '```',
    `${' '.repeat(width)}  ${ruler}`,
    ...rows.map((row) => `${titleOf(row).padEnd(width)}  ${row.days}  ${factsOf(row)}`),
    '```',
    '',
    '`+` all well · `!` failed, then done well · `x` failed · `m` missed · `.` nothing was due',
  ];
}

function titleOf({ kind, source, repository }: ReportRow): string {
  return printableName(`${kind} ${source ?? repository ?? ''}`.trimEnd());
}

function factsOf({ kind, counts, addedBytes, longestMs }: ReportRow): string {
  const all = counts.succeeded + counts.failed + counts.missed + counts.cancelled;
  const added = kind === 'backup' ? `, ${formatBytes(addedBytes)} new` : '';
  return `${counts.succeeded} of ${all}${added}, at most ${formatDuration(longestMs)}`;
}

function troubleLines({ troubles, moreTroubles }: ReportOutput): string[] {
  const lines = troubles.map((one) => {
    const what = printableName(`${one.kind} ${one.source ?? one.repository ?? ''}`.trimEnd());
    const after = one.madeGood === undefined ? '**not made good since**' : `made good ${minute(one.madeGood)}`;
    return `- ${minute(one.time)} ${what}, ${one.state}: ${printableName(one.message)} (${after})`;
  });
  return moreTroubles > 0 ? [...lines, `- … and ${moreTroubles} more`] : lines;
}

function sizeLines({ repositories }: ReportOutput): string[] {
  return repositories.map(({ repository, first, last }) => {
    const grown = last.storedBytes - first.storedBytes;
    const change = `${grown < 0 ? '−' : '+'}${formatBytes(Math.abs(grown))}`;
    return `- ${printableName(repository)}: ${formatBytes(last.storedBytes)} (${change}), ${last.snapshots} snapshots`;
  });
}

function minute(instant: string): string {
  return `${instant.slice(0, 16).replace('T', ' ')} UTC`;
}
