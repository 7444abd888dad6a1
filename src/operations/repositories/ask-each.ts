/** Asks several repositories the same: one that cannot be asked hides nothing of what the others hold. */
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import { describeError } from '../describe-error.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { type NamedRepository, openNamed } from './repository-access.ts';

type Uses = RepositoryAccess & Execution;
type Ask<Answer> = (opened: NamedRepository) => Promise<Answer>;

/** A repository that could not be asked, and why. */
export const failedRepository = z.object({
  repository: z.string(),
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
});

export interface Asked<Answer> {
  /** In the order of the names. */
  readonly answers: readonly Answer[];
  readonly failed: z.infer<typeof failedRepository>[];
}

/** All at the same time. If none can be asked, the error of the first is thrown; so is that the question was cancelled. */
export async function askEach<Answer>(names: readonly string[], uses: Uses, ask: Ask<Answer>): Promise<Asked<Answer>> {
  return settled(names, await Promise.allSettled(names.map((name) => askOne(name, uses, ask))));
}

/** One after the other, else the same; what `isFinal` says of an error ends it all. */
export async function askInTurn<Answer>(
  names: readonly string[],
  uses: Uses,
  ask: Ask<Answer>,
  isFinal: (error: unknown) => boolean,
): Promise<Asked<Answer>> {
  const outcomes: PromiseSettledResult<Answer>[] = [];
  for (const name of names) {
    const [outcome] = await Promise.allSettled([askOne(name, uses, ask)]);
    if (outcome.status === 'rejected' && (isCancelled(outcome.reason) || isFinal(outcome.reason))) throw outcome.reason;
    outcomes.push(outcome);
  }
  return settled(names, outcomes);
}

async function askOne<Answer>(name: string, uses: Uses, ask: Ask<Answer>): Promise<Answer> {
  await using opened = await openNamed(name, uses);
  return await ask(opened);
}

function settled<Answer>(names: readonly string[], outcomes: readonly PromiseSettledResult<Answer>[]): Asked<Answer> {
  const failures = outcomes.flatMap((one, i) =>
    one.status === 'rejected' ? [{ repository: names[i], error: one.reason as unknown }] : [],
  );
  if (failures.length > 0 && failures.length === names.length) throw failures[0].error;
  const cancelled = failures.find(({ error }) => isCancelled(error));
  if (cancelled) throw cancelled.error;
  return {
    answers: outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    failed: failures.map(({ repository, error }) => {
      const { code, message, remedy } = describeError(error);
      return { repository, code, message, remedy };
    }),
  };
}

function isCancelled(error: unknown): boolean {
  return hasCode(error, 'cancelled');
}
