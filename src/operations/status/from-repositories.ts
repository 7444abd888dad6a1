/** Asks the repositories themselves: what is true now, as slowly as they answer. */
import { isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { type Answer, ask, copiesOf } from '../repositories/repository-state.ts';
import type { Knowledge, Known } from './knowledge.ts';

type Uses = RepositoryAccess & Execution;

export async function fromRepositories(uses: Uses): Promise<ReadonlyMap<string, Knowledge>> {
  const names = [...uses.config.repositories.keys()];
  const answers = new Map(await Promise.all(names.map(async (name) => [name, await ask(name, uses)] as const)));
  return new Map([...answers].map(([name, answer]) => [name, knowledgeOf(name, answer, answers, uses)]));
}

function knowledgeOf(name: string, answer: Answer, answers: ReadonlyMap<string, Answer>, uses: Uses): Knowledge {
  if ('error' in answer) return { silence: answer, sources: new Map(), copies: () => undefined };
  const snapshots = Map.groupBy(
    answer.snapshots.filter((one) => !isState(one)),
    sourceOf,
  );
  const proofs = Map.groupBy(answer.proofs, (one) => one.source);
  const sources = new Map<string, Known>();
  for (const source of new Set([...snapshots.keys(), ...proofs.keys()])) {
    if (source === undefined) continue;
    const own: readonly StoredSnapshot[] = snapshots.get(source) ?? [];
    const proven = proofs.get(source) ?? [];
    const newest = own.at(-1);
    sources.set(source, {
      snapshots: own.length,
      newest,
      lastProof: proven.at(-1),
      lastPassed: proven.findLast((one) => one.verdict === 'passed'),
    });
  }
  return { sources, copies: (source) => copiesOf(source, name, answers, uses) };
}
