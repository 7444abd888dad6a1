/** Keeps what the catalogue knows of the repositories current: after every run, and for what others do with them, by looking now and then. */
import { hasCode, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { silent } from '../../model/run.ts';
import type { Execute } from '../../runs/execute.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { refreshAfter, refreshRepository } from './refresh-repository.ts';

interface Parts {
  readonly catalogue: Catalogue;
  /** As it is now: another object after every change. */
  readonly access: () => SourceAccess;
}

/**
 * The same, and what the run changed is known before its end is: who hears of that finds it in the catalogue. Also after a
 * run that failed, which may have stored something; not after one that was stopped. A look that fails is told in the run's log.
 */
export function refreshing(execute: Execute, { catalogue, access }: Parts): Execute {
  return async (run, uses) => {
    try {
      return await execute(run, uses);
    } finally {
      if (!uses.signal.aborted) {
        await refreshAfter(catalogue, run, { ...access(), ...uses }).catch((error: unknown) => {
          const message = `the catalogue does not know yet what this run changed: ${messageOf(error)}`;
          uses.report({ type: 'warning', code: 'catalogue', message });
        });
      }
    }
  };
}

/** Looks at every declared repository: somebody may have backed up, copied or forgotten without the server. */
export async function refreshAll(
  { catalogue, access, log }: Parts & { readonly log: Pick<Log, 'warn'> },
  { clock, signal }: Pick<Execution, 'clock' | 'signal'>,
): Promise<void> {
  const uses = { ...access(), clock, signal, report: silent };
  for (const name of uses.config.repositories.keys()) {
    try {
      const { error } = await refreshRepository(catalogue, name, uses);
      const mayBeAway = uses.config.repositories.get(name)?.mayBeAwayMs !== undefined;
      if (error && !mayBeAway) log.warn({ repository: name, code: error.code }, error.message);
    } catch (error) {
      if (signal.aborted || hasCode(error, 'cancelled')) return;
      throw error;
    }
  }
}
