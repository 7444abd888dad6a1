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

const fromCopy = 'Restore this file from another copy of the repository if there is one.';

/** The next action for each kind. */
const remedies: Record<FaultKind, string> = {
  'index-damaged':
    'Write the index anew from the packs: holdfast repo repair-index REPOSITORY. Nothing is lost by that.',
  'index-wrong': 'Write the index anew from the packs: holdfast repo repair-index REPOSITORY. Nothing is lost by that.',
  'pack-missing': `${fromCopy} Otherwise see below what is affected: backing those sources up again stores it anew after holdfast repo repair-index REPOSITORY.`,
  'pack-damaged': `${fromCopy} Otherwise see below what is affected; restore those paths from older or newer snapshots.`,
  'blob-damaged':
    'See below what is affected; restore those paths from another copy of the repository or another snapshot.',
  'blob-missing':
    'Write the index anew in case only an index file is lost: holdfast repo repair-index REPOSITORY. Otherwise restore the missing packs from another copy.',
  'tree-damaged':
    'Restore the pack it lies in from another copy of the repository, or forget the snapshots that use it.',
  'snapshot-damaged': `${fromCopy} Otherwise remove it by hand: nothing but that one snapshot is lost.`,
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
