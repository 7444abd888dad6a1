/** Keeps the state of whoever fills a repository in it, so that the repository describes itself. */
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import { programVersion } from '../../base/version.ts';
import { readSecret, secretPlaces } from '../../config/index.ts';
import { type Repository, type SavedState, type StateRecord, saveState } from '../../repository/index.ts';
import { describeError } from '../describe-error.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { stateFiles } from './state-files.ts';

export const stateView = z.object({
  repository: z.string(),
  outcome: z.enum(['stored', 'unchanged', 'postponed', 'failed']),
  snapshot: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
});
export type StateView = z.infer<typeof stateView>;

type Uses = Omit<SourceAccess, 'openContainers'> & Execution;

export interface StateRequest {
  /** The name of the repository in the configuration. */
  readonly name: string;
  readonly repository: Repository;
  /** When the configuration was read, in milliseconds: before the sources, so that restic's `latest` is one of them. */
  readonly readAtMs: number;
  readonly lockWaitMs: number;
}

/** Stores what changed. Its failure is told, not thrown: what was backed up is stored all the same. `cancelled` is thrown. */
export async function keepState({ name, repository, ...request }: StateRequest, uses: Uses): Promise<StateView> {
  const { readAtMs, lockWaitMs } = request;
  const { signal } = uses;
  try {
    const record = await stateRecord({ name, repository, readAtMs }, uses);
    if (record === undefined) return { repository: name, outcome: 'unchanged' };
    return viewState(name, await saveState(repository, record, { lockWaitMs, signal }), uses);
  } catch (error) {
    return viewState(name, { error }, uses);
  }
}

/** What came of it. `cancelled` is thrown. */
export function viewState(
  name: string,
  saved: SavedState | { readonly error: unknown },
  { signal }: Pick<Uses, 'signal'>,
): StateView {
  if (!('error' in saved)) {
    const { snapshot } = saved;
    return { repository: name, outcome: snapshot === undefined ? 'unchanged' : 'stored', snapshot };
  }
  const { error } = saved;
  if (signal.aborted || hasCode(error, 'cancelled')) throw error;
  // Whoever holds the lock is busy with the repository; the next backup finds the state still to be stored.
  const outcome = hasCode(error, 'repository.locked') ? 'postponed' : 'failed';
  return { repository: name, outcome, error: describeError(error) };
}

/** `undefined` if there is no configuration that could be kept. `config.invalid` if it may not be stored. */
export async function stateRecord(
  { name, repository, readAtMs }: Omit<StateRequest, 'lockWaitMs'>,
  uses: Uses,
): Promise<StateRecord | undefined> {
  const { config } = uses;
  if (config.bytes === undefined) return undefined;
  const { hostname } = uses.localHost();
  const owner = { repository: { name, id: repository.config.id }, hostname };
  return {
    hostname,
    path: config.file,
    files: stateFiles(config, uses, { ...owner, secrets: await readableSecrets(uses) }),
    timeMs: readAtMs,
    programVersion: `holdfast ${programVersion}`,
  };
}

/** What references lead to without a program being started: nobody is to have written it out somewhere else in the file. */
async function readableSecrets({ config, env, signal, localHost }: Uses): Promise<string[]> {
  const secrets: string[] = [];
  for (const { path, reference } of secretPlaces(config)) {
    if (reference.from !== 'file' && reference.from !== 'env') continue;
    try {
      secrets.push((await readSecret(reference, path, { env, signal, run: (it) => localHost().run(it) })).reveal());
    } catch (error) {
      // Missing ones are told by whatever needs them.
      if (!hasCode(error, 'secret.unavailable')) throw error;
    }
  }
  return secrets;
}
