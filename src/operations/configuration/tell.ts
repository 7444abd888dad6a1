/** What a change of the configuration, or its refusal, is told as. */
import type { HoldfastError } from '../../base/errors.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type Difference, formatProblem, type Problem } from '../../config/index.ts';
import { counts, describeDifference, needRestart } from './describe-difference.ts';
import { recordRefused } from './in-use.ts';

interface Where {
  readonly catalogue: Catalogue;
  readonly file: string;
}

const mostLines = 5;

export async function tellChanged({ catalogue, file }: Where, differences: readonly Difference[]): Promise<void> {
  const { added, changed, removed } = counts(differences);
  const restart = needRestart(differences);
  const parts = Object.entries({ added, changed, removed }).flatMap(([word, count]) =>
    count > 0 ? [`${count} ${word}`] : [],
  );
  await recordHappening(catalogue, {
    type: 'config.changed',
    title: `the configuration was changed: ${parts.join(', ')}`,
    message: linesOf(differences.map(describeDifference)),
    ...(restart.length > 0 ? { remedy: `Start the server again: ${restart.join(', ')} is read when it starts.` } : {}),
    facts: { file, added, changed, removed },
  });
}

export async function tellRefused(
  { catalogue, file }: Where,
  refused: { readonly error: HoldfastError; readonly digest: string; readonly problems: readonly Problem[] },
): Promise<void> {
  const { error, digest, problems } = refused;
  const message = error.message.split('\n')[0];
  const lines = problems.map(formatProblem);
  await recordRefused(catalogue, { digest, problems: lines.length > 0 ? lines : [message] });
  await recordHappening(catalogue, {
    type: 'config.refused',
    title: `the changed configuration is not used: ${message}`,
    message: [linesOf(lines), 'The configuration from before stays in use.'].filter((one) => one !== '').join('\n'),
    remedy: error.remedy,
    errorCode: error.code,
    facts: { file, errors: problems.length },
  });
}

/** Entries made over the API and of labels that are not in use. */
export async function tellLeftOut({ catalogue, file }: Where, lines: readonly string[]): Promise<void> {
  await recordHappening(catalogue, {
    type: 'config.refused',
    title: `entries that are not in the file are not used: ${lines.length} with errors`,
    message: linesOf(lines),
    remedy:
      'Correct them where they were made: over the API (holdfast object list), or in the labels of the container.',
    errorCode: 'config.invalid',
    facts: { file, errors: lines.length },
  });
}

function linesOf(lines: readonly string[]): string {
  const more = lines.length - mostLines;
  return [...lines.slice(0, mostLines), ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
}
