/**
 * A repository describes itself by the configuration it is filled by. An agent has a part of that only, so the server stores
 * the whole after the agent's backup, where it reaches the repository.
 */
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import { keepState } from '../../operations/backup/state.ts';
import { describeError } from '../../operations/describe-error.ts';
import type { Execution, SourceAccess } from '../../operations/operation.ts';
import { OpenRepositories } from '../../operations/repositories/open-repositories.ts';
import type { Performed } from '../../runs/execute.ts';

const stored = z.object({
  results: z.array(z.object({ repository: z.string(), snapshot: z.string().optional() })).catch([]),
});

const lockWaitMs = 30_000;

/** Tells what it could not do as a warning: what was backed up is stored all the same. `cancelled` is thrown. */
export async function keepStates({ result }: Performed, uses: SourceAccess & Execution): Promise<void> {
  const { success, data } = stored.safeParse(result);
  if (!success) return;
  const names = new Set(data.results.flatMap((one) => (one.snapshot === undefined ? [] : [one.repository])));
  await using open = new OpenRepositories(uses);
  for (const name of names) if (uses.config.repositories.has(name)) await keepIn(name, open, uses);
}

async function keepIn(name: string, open: OpenRepositories, uses: SourceAccess & Execution): Promise<void> {
  const readAtMs = uses.clock.nowMs() - 1;
  try {
    const repository = await open.get(name);
    const { outcome, error } = await keepState({ name, repository, readAtMs, lockWaitMs }, uses);
    if (outcome === 'failed') warn(name, error?.message ?? '', uses);
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    warn(name, describeError(error).message, uses);
  }
}

function warn(name: string, why: string, { report }: Execution): void {
  const message = `the configuration could not be kept in ${name} from the server: ${why}`;
  report({ type: 'warning', code: 'storage.unreachable', message, subject: name });
}
