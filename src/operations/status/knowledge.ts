/** What is known of the sources in one repository, wherever it was learnt, and what it means for each of them. */
import { formatInstant } from '../../base/clock.ts';
import type { Placement, SourceEntry } from '../../config/index.ts';
import { concernsAbout, type LastRun, limitsOf, type RunFacts, type SourceFacts } from '../../policy/readiness.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { type CopiesView, type KnownCheck, type Silence, unknownState } from '../repositories/repository-state.ts';
import { periodsIn } from './periods.ts';
import type { SourceRun, SourceState } from './view.ts';

export interface KnownProof {
  readonly snapshot: string;
  readonly startedAtMs: number;
  readonly verdict: 'passed' | 'failed';
  readonly restoreMs: number;
}

/** Of one source in one repository. */
export interface Known {
  readonly snapshots: number;
  readonly newest?: { readonly id: string; readonly time: string; readonly timeMs: number };
  readonly lastProof?: KnownProof;
  readonly lastPassed?: Pick<KnownProof, 'startedAtMs'>;
}

export interface Knowledge {
  /** Why nothing is known of it now. */
  readonly silence?: Silence;
  readonly sources: ReadonlyMap<string, Known>;
  /** Whoever made it. */
  readonly lastCheck?: KnownCheck;
  /** How far a source here is behind its first repository; `undefined` for the first, and where that is not known. */
  copies(source: SourceEntry): CopiesView | undefined;
}

export interface KnownRuns {
  readonly shown: () => SourceRun[];
  readonly backup?: LastRun;
  /** By repository; '' for one of which nobody knows which it was to read, and no other came after it. */
  readonly drills?: ReadonlyMap<string, LastRun>;
}

type Uses = Pick<RepositoryAccess, 'config'> & Pick<Execution, 'clock'>;

/** Also of the runs at hand: the same objects as long as nothing happened. */
export interface Learnt {
  readonly knowledge: ReadonlyMap<string, Knowledge>;
  readonly runs?: KnownRuns;
}

export const nothing: Known = { snapshots: 0 };

export interface Judged {
  readonly ok: boolean;
  readonly copies?: CopiesView;
  /** All of it, for who wants to read it. */
  readonly view: () => SourceState;
}

/** What is known of a source in one of its places, judged; described only when it is asked for. */
export function judgeSource(source: SourceEntry, placement: Placement, learnt: Learnt, uses: Uses): Judged {
  const { knowledge, runs } = learnt;
  const { repository, keep } = placement;
  const here = knowledge.get(repository)!;
  const timing = timingOf(source, placement, uses);
  const described = () => ({
    ...{ source: source.name, driver: source.driver, repository },
    ...(keep ? { keep: { ...keep } } : {}),
    expected: limitsOf(timing),
    ...(runs ? { runs: runs.shown() } : {}),
  });
  if (here.silence) {
    const unknown = unknownState(source, repository, here.silence, uses);
    return { ok: unknown.ok, view: () => ({ ...described(), snapshots: 0, ...unknown }) };
  }
  const known = here.sources.get(source.name) ?? nothing;
  const copies = here.copies(source);
  const concerns = concernsAbout(factsOf(source, placement, { known, copies, runs }, uses));
  const remedied = () => concerns.map((one) => ({ ...one, remedy: remedyFor(one.kind, source, repository) }));
  return {
    ok: concerns.length === 0,
    copies,
    view: () => ({
      ...described(),
      ok: concerns.length === 0,
      ...(copies ? { copies } : {}),
      ...viewKnown(known, timing.nowMs),
      concerns: remedied(),
    }),
  };
}

/** What a judgement is made of, where the repository says something. */
export function factsOf(
  source: SourceEntry,
  placement: Placement,
  { known, copies, runs }: { readonly known: Known; readonly copies?: CopiesView; readonly runs?: KnownRuns },
  uses: Uses,
): SourceFacts {
  const { newest, lastProof, lastPassed } = known;
  return {
    ...timingOf(source, placement, uses),
    ...{ newest, lastProof, lastPassed, behind: copies?.behind },
    runs: runs && runsIn(source, placement, runs),
  };
}

/** A run that names no repository is one of the first. */
export function runsIn(
  { placements }: SourceEntry,
  { repository }: Placement,
  { backup, drills }: Pick<KnownRuns, 'backup' | 'drills'>,
): RunFacts {
  const isFirst = placements[0].repository === repository;
  const unnamed = isFirst ? drills?.get('') : undefined;
  return { backup: isFirst ? backup : undefined, drill: unnamed ?? drills?.get(repository) };
}

function viewKnown({ snapshots, newest, lastProof, lastPassed }: Known, nowMs: number) {
  return {
    snapshots,
    ...(newest ? { newest: { id: newest.id, time: newest.time, ageMs: nowMs - newest.timeMs } } : {}),
    ...(lastProof ? { proof: proofState(lastProof, nowMs) } : {}),
    ...(lastPassed ? { proven: formatInstant(lastPassed.startedAtMs) } : {}),
  };
}

function timingOf(source: SourceEntry, placement: Placement, { config, clock }: Uses) {
  return {
    nowMs: clock.nowMs(),
    mayBeAwayMs: config.repositories.get(placement.repository)?.mayBeAwayMs,
    ...periodsIn(source, placement, config),
  };
}

function proofState(proof: KnownProof, nowMs: number): NonNullable<SourceState['proof']> {
  const { verdict, restoreMs, snapshot } = proof;
  return { verdict, ageMs: nowMs - proof.startedAtMs, restoreMs, snapshot };
}

const backupConcerns = new Set(['never-backed-up', 'snapshot-old', 'backup-failed', 'backup-missed']);

function remedyFor(kind: string, source: SourceEntry, repository: string): string {
  const { name, placements } = source;
  const first = placements[0].repository;
  if (kind === 'copies-behind') return `holdfast repo copy ${first} --to ${repository} --source ${name}`;
  if (!backupConcerns.has(kind)) return `holdfast drill ${name} --repository ${repository}`;
  // The further ones are filled by every backup.
  return repository === first ? `holdfast backup ${name} --repository ${repository}` : `holdfast backup ${name}`;
}
