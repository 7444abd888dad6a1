/** A source for checks and tests: nobody watches it, nobody stops it, its secrets are in the clear. */
import { systemClock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ReadSecret } from '../../base/secret-reference.ts';
import type { Host } from '../../hosts/host.ts';
import { silent } from '../../model/run.ts';
import type { SourceContext } from '../driver.ts';

export function unattended<Settings>(
  source: { readonly name: string; readonly settings: Settings; readonly host: Host; readonly local: Host } & Partial<
    SourceContext<Settings>
  >,
): SourceContext<Settings> {
  return { secret: clearSecret, clock: systemClock, signal: new AbortController().signal, report: silent, ...source };
}

const clearSecret: ReadSecret = async (reference, owner) => {
  if (reference.from === 'clear') return reference.secret;
  throw new HoldfastError({
    code: 'secret.unavailable',
    message: `the secret of ${owner} is not in the clear`,
    remedy: 'Give it directly.',
  });
};
