/** What can be wrong with a repository. One sentence each, with the file or blob it is about and the next action. */
import { HoldfastError } from '../../base/errors.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';

export type FaultKind =
  | 'index-damaged'
  | 'index-wrong'
  | 'pack-missing'
  | 'pack-damaged'
  | 'blob-damaged'
  | 'blob-missing'
  | 'tree-damaged'
  | 'snapshot-damaged'
  | 'size-differs'
  | 'pack-unindexed'
  | 'leftover-damaged';

export interface RepositoryFault {
  readonly kind: FaultKind;
  /** What it is about: the stored name of a file, or `data <id>`, `tree <id>` for a blob. */
  readonly subject: string;
  readonly message: string;
  readonly remedy: string;
}

export type ReportFault = (fault: RepositoryFault) => void;

const index = 'Write the index anew from the packs: holdfast repo repair index REPOSITORY. Nothing is lost by that.';
const packs =
  'Run holdfast repo repair packs REPOSITORY: it saves what can still be read and fetches the rest from another repository of the same sources.';

/** The next action for each kind. docs/repair.md has the whole way. */
const remedies: Record<FaultKind, string> = {
  'index-damaged': index,
  'index-wrong': index,
  'pack-missing':
    'Run holdfast repo heal REPOSITORY: it fetches what was in it from another repository of the same sources. If none has it, back the sources up again, then run holdfast repo repair snapshots REPOSITORY.',
  'pack-damaged': packs,
  'blob-damaged': packs,
  'blob-missing':
    'Write the index anew in case only an index file is lost: holdfast repo repair index REPOSITORY. Then holdfast repo heal REPOSITORY fetches what is missing from another repository of the same sources.',
  'tree-damaged': packs,
  'snapshot-damaged':
    'Copy the snapshot back from another repository if one has it. Otherwise holdfast repo repair snapshots REPOSITORY --forget removes the file: nothing but that one snapshot is lost.',
  'size-differs': 'Compare with another snapshot of the file; the stored bytes themselves are sound.',
  'pack-unindexed':
    'Nothing has to be done: an interrupted run left it, the next backup takes it over and prune removes what is not needed.',
  'leftover-damaged': 'Remove it: holdfast repo prune REPOSITORY. No snapshot needs it.',
};

/** Faults that keep nothing from being restored. */
export const harmless: ReadonlySet<FaultKind> = new Set(['size-differs', 'pack-unindexed', 'leftover-damaged']);

export function faultOf(kind: FaultKind, subject: string, message: string): RepositoryFault {
  return { kind, subject, message, remedy: remedies[kind] };
}

/** A fault as the error that stops an operation which must not go on. */
export function errorOf(fault: RepositoryFault): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: fault.message,
    remedy: fault.remedy,
    context: { kind: fault.kind, subject: fault.subject },
  });
}

/** What damaged blobs mean for one snapshot: some of the paths that need them. */
export interface AffectedSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly paths: readonly string[];
  /** True if there may be more paths than are listed. */
  readonly more: boolean;
}
