/** What a restore into a running server will do: each collection, where it is loaded, and what is there in its place. */
import type { Document } from 'bson';
import { HoldfastError } from '../../base/errors.ts';
import type { ArchiveCollection } from '../../protocols/mongodb/archive.ts';
import type { RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import type { Catalogue } from './catalogue.ts';
import type { Member } from './connect.ts';
import { type Choose, type Dump, isAccounts, isPart } from './dump.ts';
import { fromText } from './exact.ts';
import type { Settings } from './settings.ts';

export type Source = SourceContext<Settings>;

export type RestoreChoice = Pick<RestoreRequest, 'include' | 'exclude' | 'dryRun' | 'overwrite'>;

export interface Work {
  readonly source: Source;
  readonly contents: SnapshotContents;
  readonly request: RestoreChoice;
  readonly dump: Dump;
  readonly member: Member;
  readonly there: Catalogue;
  /** Part of the names of what is kept aside. */
  readonly stamp: string;
  readonly choose: Choose;
  readonly loads: Load[];
}

export interface Load {
  readonly of: ArchiveCollection;
  readonly definition: Definition;
  /** What it is called while it is loaded. */
  readonly name: string;
  /** Present if there is one of that name. */
  readonly existing?: Catalogue[number];
  /** Whether this restore made it; `perhaps`: it was told to, and no answer came. */
  made: 'no' | 'perhaps' | 'yes';
  /** A time series of that name was dropped: it cannot be moved. */
  isLost: boolean;
}

export interface Definition {
  readonly options: Document;
  readonly indexes: readonly Document[];
}

export function planLoads(work: Work): void {
  const { dump, choose, loads, there, request, member } = work;
  for (const of of dump.collections) {
    if (isAccounts(of) || !choose(of.database, of.collection)) continue;
    const existing = there.find((one) => one.database === of.database && one.name === of.collection);
    const isSeries = existing && (existing.kind === 'timeseries' || of.kind === 'timeseries');
    if (isSeries && !request.overwrite) throw cannotMove(member, of);
    loads.push(plannedLoad(work, of, existing));
  }
  if (loads.length > 0 || dump.collections.length === 0 || !isPart(request)) return;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: 'no collection of the snapshot is chosen',
    remedy: 'Patterns see /database/collection: --include shop/orders, or --include "shop/**".',
  });
}

/** Time series and views are made at the end, in one go; what stands in their place is moved first. */
function plannedLoad({ stamp }: Work, of: ArchiveCollection, existing: Load['existing']): Load {
  const definition = definitionFrom(of);
  const isBeside = existing !== undefined && of.kind === 'collection';
  const name = isBeside ? `${of.collection}_restoring_${stamp}` : of.collection;
  return { of, definition, name, ...(existing && { existing }), made: 'no', isLost: false };
}

function definitionFrom({ metadata, database, collection }: ArchiveCollection): Definition {
  const { options, indexes } = fromText(metadata);
  if (Array.isArray(indexes)) return { options: (options ?? {}) as Document, indexes: indexes as Document[] };
  throw new HoldfastError({
    code: 'repository.damaged',
    message: `the definition of ${database}.${collection} cannot be read`,
    remedy: 'Check the repository, and restore an older snapshot.',
  });
}

export function steps({ loads, member, request, stamp, dump }: Work): string[] {
  const all = loads.map(({ of, existing }) => {
    const name = `${of.database}.${of.collection}`;
    const what = `restore the ${of.kind === 'timeseries' ? 'time series' : of.kind} ${name} to ${member.title}`;
    if (!existing) return what;
    return request.overwrite
      ? `${what}, in place of the one that is there`
      : `${what}; the one that is there becomes ${name}_before_${stamp}`;
  });
  if (dump.hasOplog) all.push('replay what was written while the collections were read');
  if (!isPart(request) && dump.collections.some(isAccounts))
    all.push('add users and roles; ones of the same name are replaced');
  return all;
}

function cannotMove({ title }: Member, { database, collection }: ArchiveCollection): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `${title} has ${database}.${collection} already, and a time series cannot be renamed to keep one of both aside`,
    remedy: 'Restore with --overwrite, leave it out with --exclude, or restore to another server.',
  });
}
