/**
 * Puts collections back into a running server. What is there already stays untouched until everything is loaded: a
 * collection whose name is taken is loaded under another one, and the two change places at the end.
 */
import type { Document } from 'bson';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { ArchiveCollection } from '../../protocols/mongodb/archive.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { restoreAccounts } from './accounts.ts';
import { type Catalogue, readCatalogue } from './catalogue.ts';
import { type Member, openMember } from './connect.ts';
import {
  archiveParts,
  type Choose,
  chooser,
  type Dump,
  dataNamespace,
  isAccounts,
  isOplog,
  isPart,
  openDump,
} from './dump.ts';
import { fromText } from './exact.ts';
import { insertRaw } from './raw-insert.ts';
import { Replay } from './replay.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export type RestoreChoice = Pick<RestoreRequest, 'include' | 'exclude' | 'dryRun' | 'overwrite'>;

/** `source` is the server to restore to. `beforeReplay`: called when all documents are there, if there is an oplog to replay. */
export async function restoreToServer(
  source: Source,
  contents: SnapshotContents,
  request: RestoreChoice,
  beforeReplay: () => Promise<void> = async () => {},
): Promise<RestoreOutcome> {
  const dump = await openDump(source.signal, contents);
  await using member = await openMember(source, 'primary');
  const there = await readCatalogue(member, { databases: 'all', exclude: [], excludeCollections: [] }, source.signal);
  const stamp = formatInstant(source.clock.nowMs()).replace(/[-:]|\.\d+/g, '');
  const work: Work = { source, contents, request, dump, member, there, stamp, choose: chooser(request), loads: [] };
  planLoads(work);
  if (request.dryRun) return { steps: steps(work), bytes: dump.bytes, files: 1, problems: [] };
  try {
    await load(work, beforeReplay);
    await changePlaces(work);
  } catch (error) {
    await undo(work);
    throwIfCancelled(source.signal);
    throw error;
  }
  return { steps: steps(work), bytes: dump.bytes, files: 1, problems: [] };
}

interface Work {
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

interface Load {
  readonly of: ArchiveCollection;
  readonly definition: Definition;
  /** What it is called while it is loaded. */
  readonly name: string;
  /** Present if there is one of that name. */
  readonly existing?: Catalogue[number];
  isThere: boolean;
}

interface Definition {
  readonly options: Document;
  readonly indexes: readonly Document[];
}

function planLoads(work: Work): void {
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
  return { of, definition, name, ...(existing && { existing }), isThere: false };
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

async function load(work: Work, beforeReplay: () => Promise<void>): Promise<void> {
  const { loads, dump } = work;
  for (const one of loads) {
    if (one.of.kind === 'timeseries' && one.existing) await drop(work, one.of.database, one.of.collection);
    if (one.of.kind !== 'view') await create(work, one);
  }
  await loadDocuments(work, beforeReplay);
  for (const one of loads) await createIndexes(work, one);
  if (!isPart(work.request) && dump.collections.some(isAccounts)) {
    await restoreAccounts(work.member, work.source.signal, work.contents);
  }
}

/** Documents and oplog in the order of the archive. */
async function loadDocuments(work: Work, beforeReplay: () => Promise<void>): Promise<void> {
  const { source, contents, member, loads } = work;
  const places = new Map(loads.map((one) => [dataNamespace(one.of), one]));
  const nameIn = (database: string, collection: string): string | undefined => {
    const place = places.get(`${database}.${collection}`);
    return place?.of.kind === 'collection' ? place.name : place && collection;
  };
  const replay = new Replay(member, nameIn);
  let isReplaying = false;
  for await (const part of archiveParts(source.signal, contents)) {
    if (part.type !== 'documents') continue;
    if (isOplog(part)) {
      if (!isReplaying) await beforeReplay();
      isReplaying = true;
      for (const raw of part.documents) await replay.add(Buffer.from(raw));
      continue;
    }
    const name = nameIn(part.database, part.collection);
    if (name !== undefined) await insertRaw(member, part.database, name, part.documents);
  }
}

async function create({ member, source }: Work, one: Load): Promise<void> {
  throwIfCancelled(source.signal);
  const { database } = one.of;
  const { viewOn, pipeline, ...options } = one.definition.options;
  const view = one.of.kind === 'view' ? { viewOn, pipeline } : {};
  const doing = `to create ${database}.${one.name}`;
  await member.command(database, { create: one.name, ...view, ...options, writeConcern: { w: 'majority' } }, doing);
  one.isThere = true;
}

async function createIndexes({ member, source }: Work, { of, name, definition }: Load): Promise<void> {
  throwIfCancelled(source.signal);
  // The one on _id is there from the beginning; a clustered collection lists its own.
  const indexes = definition.indexes.filter((index) => index.name !== '_id_' && index.clustered !== true);
  if (indexes.length === 0) return;
  const words = {
    createIndexes: name,
    indexes: indexes.map(({ ns: _, ...index }) => index),
    writeConcern: { w: 'majority' },
  };
  await member.command(of.database, words, `to build the indexes of ${of.database}.${name}`);
}

/** From here on what is there is touched: renames only, one collection after another. */
async function changePlaces(work: Work): Promise<void> {
  for (const one of work.loads) {
    const { of, existing } = one;
    if (of.kind === 'view') {
      if (existing) await makeRoom(work, existing);
      await create(work, one);
    } else if (of.kind === 'collection' && existing) {
      await makeRoom(work, existing);
      await rename(work, of.database, one.name, of.collection);
    }
  }
}

async function makeRoom(work: Work, existing: Catalogue[number]): Promise<void> {
  const { member, request, stamp, source } = work;
  const { database, name, kind, options } = existing;
  if (request.overwrite) return await drop(work, database, name);
  const aside = `${name}_before_${stamp}`;
  if (kind === 'collection') await rename(work, database, name, aside);
  else {
    await member.command(database, { create: aside, ...options }, `to keep ${database}.${name} aside`);
    await drop(work, database, name);
  }
  source.report({
    type: 'note',
    message: `what was ${database}.${name} is kept as ${database}.${aside}: drop it when it is not needed`,
  });
}

async function rename({ member }: Work, database: string, from: string, to: string): Promise<void> {
  const words = { renameCollection: `${database}.${from}`, to: `${database}.${to}`, writeConcern: { w: 'majority' } };
  await member.command('admin', words, `to rename ${database}.${from} to ${to}`);
}

async function drop({ member }: Work, database: string, name: string): Promise<void> {
  await member.command(database, { drop: name, writeConcern: { w: 'majority' } }, `to drop ${database}.${name}`);
}

/** What was loaded half way is of no use. Only what this restore made is dropped, over a connection of its own. */
async function undo({ source, loads, there }: Work): Promise<void> {
  const made = loads.filter((one) => one.isThere);
  try {
    await using member = await openMember({ ...source, signal: new AbortController().signal }, 'primary');
    const now = await readCatalogue(
      member,
      { databases: 'all', exclude: [], excludeCollections: [] },
      new AbortController().signal,
    );
    for (const { of, name } of made) {
      const isTheirs = there.some((one) => one.database === of.database && one.name === name);
      const isLeft = now.some((one) => one.database === of.database && one.name === name);
      if (isLeft && !isTheirs) await member.command(of.database, { drop: name }, `to drop ${of.database}.${name}`);
    }
  } catch {
    const names = made.map(({ of, name }) => `${of.database}.${name}`).join(', ');
    source.report({
      type: 'warning',
      code: 'restore.failed',
      message: `a part of the restored collections is left: ${names}`,
    });
  }
}

function steps({ loads, member, request, stamp, dump }: Work): string[] {
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
