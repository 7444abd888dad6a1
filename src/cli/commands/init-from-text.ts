/** What `init --from` says: what is in the repository, what has to be provided, how to go on. */
import { parseInstant } from '../../base/clock.ts';
import type { InitFromOutput } from '../../operations/setup/init-from.ts';
import { counted, localTime, shortId, table } from '../table.ts';

export function describeInitFrom(output: InitFromOutput, shown: string): string {
  const { repository, state, keptAside } = output;
  const config = shown === 'holdfast.yaml' ? '' : `--config ${shown} `;
  return [
    `✓ opened the repository at ${repository.url} (id ${shortId(repository.id)}), ${counted(output.proofs, 'proof')}`,
    ...sourceRows(output),
    '',
    state
      ? `✓ wrote ${output.file}: the configuration of ${state.hostname} (${state.configFile}), as of ${state.time}`
      : `✓ wrote ${output.file}`,
    ...(keptAside === undefined ? [] : [`  what was there before is now ${keptAside}`]),
    ...output.notes.map((note) => `! ${note}`),
    ...output.otherStates.map(
      (one) => `  also in it: the configuration of ${one.hostname} (${one.configFile}), as of ${one.time}`,
    ),
    ...secretLines(output),
    '',
    'next:',
    `  holdfast ${config}validate --secrets`,
    ...restoreLines(output, config),
    `  holdfast ${config}drill --all       # proves that all of it can be restored`,
    `  holdfast ${config}backup --all      # goes on where the last one ended`,
  ].join('\n');
}

function sourceRows({ sources }: InitFromOutput): string[] {
  if (sources.length === 0) return ['it holds no snapshots'];
  return [
    table(sources, [
      { title: 'SOURCE', value: (one) => one.source ?? '–' },
      { title: 'SNAPSHOTS', align: 'right', value: (one) => String(one.snapshots) },
      { title: 'NEWEST', value: (one) => `${shortId(one.newest)} ${localTime(parseInstant(one.newestTime)!)}` },
      { title: 'PROOF', value: (one) => one.proof?.verdict ?? '–' },
      { title: 'PATHS', value: (one) => one.paths.join(' ') },
    ]),
  ];
}

function secretLines({ secrets, replaced }: InitFromOutput): string[] {
  const lines = secrets.map((one) => {
    const where = `${one.path}: ${one.from} ${one.place}`;
    if (one.state === 'written') return `  ✓ ${where}: was missing, the password you gave was written to it`;
    if (one.state === 'there') return `  ✓ ${where}`;
    if (one.state === 'unchecked') return `  ? ${where}: not tried`;
    return `  ✗ ${where}: ${one.state === 'other' ? 'is there, but is not the password of this repository' : 'has to be provided again'}`;
  });
  const cut = replaced
    .filter(({ by }) => !by.startsWith('{'))
    .map(({ path }) => `  ✗ ${path}: held a secret, which has to be written again`);
  return lines.length + cut.length === 0 ? [] : ['', 'secrets the configuration names:', ...lines, ...cut];
}

function restoreLines({ sources }: InitFromOutput, config: string): string[] {
  return sources.flatMap(({ source, declared }) =>
    source !== undefined && declared ? [`  holdfast ${config}restore ${source} --in-place`] : [],
  );
}
