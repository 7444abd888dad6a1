/** What a repository says of itself, and what is known of it when it says nothing: there, away, or not to be reached. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import type { Config, SourceEntry } from '../../config/index.ts';
import type { StoredProof } from '../../model/proof.ts';
import { isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { lagOf, matchCopies } from '../../policy/copies.ts';
import { listPins, listProofs, listSnapshots } from '../../repository/index.ts';
import { wantedOf } from '../backup/chosen-copies.ts';
import { describeError } from '../describe-error.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { isAbsence, judgeAbsence } from './absence.ts';
import { openNamed } from './repository-access.ts';
import { type RepositoryRecord, readRecord } from './repository-record.ts';

export const repositoryView = z.object({
  name: z.string(),
  ok: z.boolean(),
  /** `away`: not there, which is no fault as long as `ok`. `unreadable`: there, and yet not read: `code` says why. */
  state: z.enum(['ready', 'away', 'unreachable', 'unreadable']),
  awaySince: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  remedy: z.string().optional(),
  /** Snapshots of all sources that should be copied to it and are not. */
  missing: z.number().optional(),
  /** By this machine, as far as it remembers. */
  lastCopy: z
    .object({ time: z.string(), from: z.string(), ok: z.boolean(), copied: z.number(), message: z.string().optional() })
    .optional(),
  lastCheck: z
    .object({
      time: z.string(),
      ok: z.boolean(),
      /** Absent if another machine checked it. */
      errors: z.number().optional(),
      data: z.enum(['none', 'part', 'all']).optional(),
    })
    .optional(),
});
export type RepositoryView = z.infer<typeof repositoryView>;

export const copiesView = z.object({
  from: z.string(),
  /** Snapshots that should be there and are not; of these, the ones newer than all that are. */
  missing: z.number(),
  behind: z.number(),
  newestMissing: z.object({ id: z.string(), time: z.string(), ageMs: z.number() }).optional(),
});
export type CopiesView = z.infer<typeof copiesView>;

type Uses = RepositoryAccess & Execution;

/** Between the end of a check and its being written down in another place. */
const sameCheckMs = 60_000;

interface Content {
  readonly snapshots: readonly StoredSnapshot[];
  readonly proofs: readonly StoredProof[];
  readonly pins: ReadonlySet<string>;
}

export interface Silence {
  readonly error: unknown;
  /** Of one that may be away, and is: what this machine remembers. */
  readonly away?: { readonly limitMs: number; readonly record: RepositoryRecord | undefined };
}

/** What is in it, or why it cannot be asked. */
export type Answer = Content | Silence;

export async function ask(name: string, uses: Uses): Promise<Answer> {
  try {
    await using opened = await openNamed(name, uses);
    const { repository } = opened;
    const [snapshots, proofs, pins] = await Promise.all([
      listSnapshots(repository, uses.signal),
      listProofs(repository, uses.signal),
      listPins(repository, uses.signal),
    ]);
    return { snapshots, proofs, pins };
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    const limitMs = uses.config.repositories.get(name)?.mayBeAwayMs;
    if (limitMs === undefined || !isAbsence(error)) return { error };
    return { error, away: { limitMs, record: await readRecord(name, uses) } };
  }
}

/** The state of a source in a repository that cannot be asked. */
export function unknownState(
  source: SourceEntry,
  repository: string,
  { error, away }: Silence,
  { clock }: Pick<Uses, 'clock'>,
): { ok: boolean; concerns: { kind: string; message: string; remedy: string }[] } {
  const { message, remedy } = describeError(error);
  if (!away) {
    const unknown = `its state in ${repository} is unknown: ${message}`;
    return { ok: false, concerns: [{ kind: `repository-${kindOf(error)}`, message: unknown, remedy }] };
  }
  const judged = judgeAbsence(away.record, away.limitMs, { nowMs: clock.nowMs(), sources: [source.name] });
  if (judged.isFine) return { ok: true, concerns: [] };
  const connect = `Connect it, then: holdfast backup ${source.name}`;
  return { ok: false, concerns: [{ kind: 'away-too-long', message: judged.message, remedy: connect }] };
}

function kindOf(error: unknown): 'unreachable' | 'unreadable' {
  return isAbsence(error) || hasCode(error, 'host.unreachable') ? 'unreachable' : 'unreadable';
}

/** How far a further repository of a source is behind its first one; `undefined` for the first, and if one cannot be asked. */
export function copiesOf(
  source: SourceEntry,
  repository: string,
  answers: ReadonlyMap<string, Answer>,
  { config, clock }: Pick<Uses, 'config' | 'clock'>,
): CopiesView | undefined {
  const from = source.placements[0].repository;
  const [origin, target] = [answers.get(from), answers.get(repository)];
  if (from === repository || !origin || !target || 'error' in origin || 'error' in target) return undefined;
  const isOwn = (one: StoredSnapshot): boolean => sourceOf(one) === source.name && !isState(one);
  const to = target.snapshots.filter(isOwn);
  const nowMs = clock.nowMs();
  const match = matchCopies(origin.snapshots.filter(isOwn), to);
  const wanted = wantedOf(match, { to, pins: origin.pins }, { config, to: repository, nowMs });
  const { missing, behind, newest } = lagOf(wanted, to);
  const newestMissing = newest && { id: newest.id, time: newest.time, ageMs: nowMs - newest.timeMs };
  return { from, missing, behind, ...(newestMissing ? { newestMissing } : {}) };
}

/** `missing`: snapshots that should be copied to it and are not; absent where nothing is. */
export async function viewRepository(
  name: string,
  { silence, lastCheck }: { readonly silence?: Silence; readonly lastCheck?: KnownCheck },
  missing: number | undefined,
  uses: Uses,
): Promise<RepositoryView> {
  const record = await readRecord(name, uses);
  return {
    name,
    ...stateOf(name, silence, uses),
    ...(missing === undefined ? {} : { missing }),
    ...lastOf(record, lastCheck),
  };
}

function stateOf(name: string, silence: Silence | undefined, { clock, config }: Uses): Omit<RepositoryView, 'name'> {
  if (!silence) return { ok: true, state: 'ready' };
  const { error, away } = silence;
  const { code, message, remedy } = describeError(error);
  if (!away) return { ok: false, state: kindOf(error), code, message, remedy };
  const isThere = ({ placements }: SourceEntry): boolean => placements.some((one) => one.repository === name);
  const sources = [...config.sources.values()].filter(isThere).map((one) => one.name);
  const judged = judgeAbsence(away.record, away.limitMs, { nowMs: clock.nowMs(), sources });
  const since = judged.sinceMs === undefined ? {} : { awaySince: formatInstant(judged.sinceMs) };
  return { ok: judged.isFine, state: 'away', ...since, code, message: judged.message, remedy };
}

/** A check that is remembered beside what this machine remembers. */
export interface KnownCheck {
  readonly atMs: number;
  readonly ok: boolean;
}

function lastOf(
  record: RepositoryRecord | undefined,
  known: KnownCheck | undefined,
): Pick<RepositoryView, 'lastCopy' | 'lastCheck'> {
  const own = record?.lastCheck;
  // This machine remembers more of a check; that it is the same one shows in its time.
  const lastCheck = known && known.atMs > (own?.atMs ?? 0) + sameCheckMs ? known : own;
  const timed = <T extends { readonly atMs: number }>({ atMs, ...rest }: T) => ({ time: formatInstant(atMs), ...rest });
  return {
    ...(record?.lastCopy ? { lastCopy: timed(record.lastCopy) } : {}),
    ...(lastCheck ? { lastCheck: timed(lastCheck) } : {}),
  };
}

/** What a source has left in repositories it is not stored in any more. */
export function leftElsewhere(
  { sources }: Config,
  known: ReadonlyMap<string, { readonly sources: ReadonlyMap<string, { readonly snapshots: number }> }>,
): { source: string; repository: string; snapshots: number }[] {
  const left: ReturnType<typeof leftElsewhere> = [];
  for (const [repository, { sources: held }] of known) {
    for (const [name, { snapshots }] of held) {
      const placements = sources.get(name)?.placements;
      if (placements === undefined || snapshots === 0) continue;
      if (!placements.some((one) => one.repository === repository)) left.push({ source: name, repository, snapshots });
    }
  }
  return left;
}
