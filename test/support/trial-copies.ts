/** Two repositories in memory, and copies between them, for tests. */
import { expect } from 'vitest';
import { type CopyResult, type CopySides, copySnapshots } from '../../src/engine/copy.ts';
import type { RunEvent } from '../../src/model/run.ts';
import type { StoredSnapshot } from '../../src/model/snapshot.ts';
import { matchCopies } from '../../src/policy/copies.ts';
import { checkRepository, listSnapshots, type Repository } from '../../src/repository/index.ts';
import { type FaultRule, faultyStorage } from '../../src/storage/faulty.ts';
import { type MemoryPlace, memoryStorage } from '../../src/storage/memory.ts';
import { impatientClock, memoryRepository, reopened } from './trial-repository.ts';

export interface Side {
  readonly place: MemoryPlace;
  readonly repository: Repository;
}

export const everything = ({ from, to }: CopySides) => {
  const { missing, present } = matchCopies(from, to);
  return { wanted: missing, present: present.map(({ snapshot }) => snapshot) };
};

/** Each time with fresh handles, as another process would. */
export async function copy(
  from: Side,
  to: Side,
  options: { rules?: FaultRule[]; dryRun?: boolean; report?: (event: RunEvent) => void } = {},
): Promise<CopyResult> {
  const storage = faultyStorage(memoryStorage(to.place), { seed: 1, rules: options.rules ?? [] });
  return await copySnapshots({
    from: reopened(from.repository, memoryStorage(from.place)),
    to: reopened(to.repository, storage),
    choose: everything,
    dryRun: options.dryRun,
    threads: 1,
    clock: impatientClock,
    report: options.report ?? (() => {}),
  });
}

export async function expectSound({ repository, place }: Side): Promise<void> {
  const { errors } = await checkRepository(reopened(repository, memoryStorage(place)), { readData: true }, () => {});
  expect(errors).toEqual([]);
}

export function names(side: Side, folder: string): string[] {
  return [...side.place.keys()].filter((name) => name.startsWith(`${folder}/`)).toSorted(byText);
}

export async function snapshotsOf({ repository, place }: Side): Promise<StoredSnapshot[]> {
  return await listSnapshots(reopened(repository, memoryStorage(place)));
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

let made: { from: Side; to: Side } | undefined;

/** Two empty repositories of different keys and cuts; made once, handed out as copies. */
export async function twoSides(): Promise<{ from: Side; to: Side }> {
  made ??= { from: await memoryRepository(), to: await memoryRepository() };
  return { from: fresh(made.from), to: fresh(made.to) };
}

/** The same, in a place of its own. */
export function fresh(side: Side): Side {
  const place = new Map(side.place);
  return { place, repository: reopened(side.repository, memoryStorage(place)) };
}

export const dayAt = (day: number): string => `2026-11-${String(day).padStart(2, '0')}T03:00:00Z`;
