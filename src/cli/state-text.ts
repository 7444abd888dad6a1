/** What is said of the configuration that is kept in a repository. */
import type { StateView } from '../operations/backup/state.ts';

/** Only what a person has to know: that the configuration is stored is the rule. */
export function describeState({ repository, outcome, error }: StateView): string[] {
  if (error === undefined) return [];
  const [mark, verb] = outcome === 'failed' ? ['✗', 'could not be stored'] : ['!', 'will be stored by the next backup'];
  return [`${mark} the configuration ${verb} in ${repository}: ${error.message}`, `    ${error.remedy}`];
}
