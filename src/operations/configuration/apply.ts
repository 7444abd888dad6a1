/**
 * Puts the file to use: checks it, makes repositories that are not there yet if that is asked for, remembers what is in use,
 * and waits until a server that runs has taken it up.
 */
import { z } from 'zod';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { leaseOf } from '../../catalogue/leases.ts';
import type { Config } from '../../config/index.ts';
import { describeError } from '../describe-error.ts';
import type { CatalogueAccess, Execution, SourceAccess } from '../operation.ts';
import { operation } from '../operation.ts';
import { repoInit } from '../repositories/repo.ts';
import { openNamed } from '../repositories/repository-access.ts';
import { readInUse, readRefused, recordInUse } from './in-use.ts';
import { type Merged, readMerged } from './merged.ts';
import { type PlanOutput, planFor, plannedChange } from './plan.ts';

const input = z.object({
  /** Make repositories that are not there yet. */
  init: z.boolean().default(false),
  /** Also what the plan calls dangerous. */
  acceptDangers: z.boolean().default(false),
});
const output = z.object({
  file: z.string(),
  changes: z.array(plannedChange),
  repositories: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['there', 'made', 'missing', 'away', 'failed']),
      message: z.string().optional(),
    }),
  ),
  /** `taken`: a server runs and uses it · `none`: no server runs; the next command or start does. */
  server: z.enum(['taken', 'none']),
  ok: z.boolean(),
});
export type ApplyOutput = z.infer<typeof output>;
type RepositoryState = ApplyOutput['repositories'][number];

type Uses = SourceAccess & Execution & CatalogueAccess;

/** A server looks at its file every few seconds. */
const serverWaitMs = 20_000;
const askEveryMs = 250;

/** `config.invalid`, also where a server refuses the file; `request.conflict` if the plan is dangerous and that was not accepted. */
export const apply = operation({
  name: 'apply',
  permission: 'admin',
  input,
  output,
  run: async ({ init, acceptDangers }: z.infer<typeof input>, uses: Uses): Promise<ApplyOutput> => {
    const merged = await readMerged(uses.config.file, { known: uses, catalogue: uses.catalogue });
    const { config } = merged;
    const planned = await planFor(config, uses);
    if (planned.dangers > 0 && !acceptDangers) throw tooDangerous(planned);
    const repositories = await seeToRepositories(config, init, { ...uses, config });
    const server = (await leaderLives(uses)) ? await untilTaken(merged, uses) : await remember(merged, uses);
    const ok = repositories.every(({ state }) => state === 'there' || state === 'made' || state === 'away');
    return { file: config.file, changes: planned.changes, repositories, server, ok };
  },
});

function tooDangerous({ file, changes }: PlanOutput): HoldfastError {
  const dangers = changes.flatMap(({ section, name, consequences }) =>
    consequences.filter(({ level }) => level === 'danger').map(({ text }) => `${section}.${name}: ${text}`),
  );
  return new HoldfastError({
    code: 'request.conflict',
    message: `${file} is not applied: ${dangers.join('; ')}`,
    remedy: 'Look at it with «holdfast plan». If it is what you mean: holdfast apply --accept-dangers',
  });
}

async function seeToRepositories(config: Config, init: boolean, uses: Uses): Promise<RepositoryState[]> {
  const states: RepositoryState[] = [];
  for (const { name, mayBeAwayMs } of config.repositories.values()) {
    try {
      await using _opened = await openNamed(name, uses);
      states.push({ name, state: 'there' });
    } catch (error) {
      states.push(await stateFor(name, { error, init, mayBeAway: mayBeAwayMs !== undefined }, uses));
    }
  }
  return states;
}

const absences = ['repository.missing', 'storage.not-found'] as const;

/** Only «there is none» is a reason to make one: a storage that does not answer, or another password, is not. */
async function stateFor(
  name: string,
  { error, init, mayBeAway }: { error: unknown; init: boolean; mayBeAway: boolean },
  uses: Uses,
): Promise<RepositoryState> {
  if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
  if (mayBeAway && !init && hasCode(error, ...absences, 'storage.unreachable')) return { name, state: 'away' };
  if (!hasCode(error, ...absences)) return { name, state: 'failed', message: describeError(error).message };
  if (!init) return { name, state: 'missing', message: 'Make it with: holdfast apply --init' };
  await repoInit.run({ repository: name }, uses);
  return { name, state: 'made' };
}

async function leaderLives({ catalogue }: Uses): Promise<boolean> {
  return (await leaseOf(catalogue, 'scheduler')) !== undefined;
}

async function remember({ config, digest }: Merged, uses: Uses): Promise<'none'> {
  await recordInUse(uses.catalogue, config, { known: uses, digest, by: uses.principal.name });
  return 'none';
}

async function untilTaken({ config, digest }: Merged, uses: Uses): Promise<'taken' | 'none'> {
  const { catalogue, clock, signal } = uses;
  for (const startedMs = clock.monotonicMs(); clock.monotonicMs() - startedMs < serverWaitMs; ) {
    const inUse = await readInUse(catalogue);
    if (inUse?.digest === digest) return 'taken';
    if (inUse !== undefined && inUse.file !== config.file) throw otherFile(inUse.file, config.file);
    const refused = await readRefused(catalogue);
    if (refused?.digest === digest) throw refusedByServer(config.file, refused.problems);
    await clock.sleep(askEveryMs, { signal });
  }
  throw new HoldfastError({
    code: 'run.timeout',
    message: `the server that runs has not taken ${config.file} up within ${serverWaitMs / 1000} seconds`,
    remedy: 'Look at its log. It reads the file again on SIGHUP: systemctl reload holdfast',
    retry: 'later',
  });
}

function otherFile(its: string, own: string): HoldfastError {
  return new HoldfastError({
    code: 'config.invalid',
    message: `the server that runs uses ${its}, not ${own}`,
    remedy: `Change that file, or start the server with --config ${own}.`,
  });
}

function refusedByServer(file: string, problems: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'config.invalid',
    message: `the server that runs does not take ${file}\n${problems.join('\n')}`,
    remedy: 'Correct the file: the configuration from before stays in use.',
  });
}
