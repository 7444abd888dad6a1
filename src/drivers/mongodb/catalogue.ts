/** What databases, collections, views and indexes a server has, and which of them a source means. */
import type { Binary, Document } from 'bson';
import { view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type ArchiveKind, dataCollection } from '../../protocols/mongodb/archive.ts';
import { type Choice, type Chosen, chosenBy } from './choice.ts';
import type { Member } from './connect.ts';
import { definitionOf, toText } from './exact.ts';
import { readAll } from './read.ts';

export interface CollectionDefinition {
  readonly database: string;
  readonly name: string;
  readonly kind: ArchiveKind;
  /** In hex; absent for views. */
  readonly uuid?: string;
  readonly options: Document;
  /** As the server lists them, `_id_` included; none for views. */
  readonly indexes: readonly Document[];
}

/** Ordered by database and name. */
export type Catalogue = readonly CollectionDefinition[];

export const namespaceMissing = 26;

/** Nothing but definitions: documents are not read. */
export async function readCatalogue(member: Member, choice: Choice, signal: AbortSignal): Promise<Catalogue> {
  const { databases } = await member.command('admin', { listDatabases: 1, nameOnly: true }, 'to list databases');
  const chosen = chosenBy(choice);
  const found: CollectionDefinition[] = [];
  for (const { name } of databases as { name: string }[]) {
    if (chosen.database(name)) found.push(...(await readDatabase(member, name, chosen, signal)));
  }
  return found.toSorted((a, b) => compareText(a.database, b.database) || compareText(a.name, b.name));
}

async function readDatabase(
  member: Member,
  database: string,
  chosen: Chosen,
  signal: AbortSignal,
): Promise<CollectionDefinition[]> {
  const doing = `to list the collections of ${database}`;
  const listed = await readAll(member, { database, command: { listCollections: 1, cursor: {} }, doing, signal });
  const entries = listed.map((raw) => entryOf(raw, database));
  const names = new Set(entries.map(({ name }) => name));
  const found: CollectionDefinition[] = [];
  for (const entry of entries) {
    if (!chosen.collection(database, entry.name)) continue;
    if (entry.kind === 'timeseries' && !names.has(dataCollection({ collection: entry.name, kind: entry.kind }))) {
      throw hiddenBuckets(database, entry.name);
    }
    found.push(entry.kind === 'view' ? entry : { ...entry, indexes: await readIndexes(member, entry, signal) });
  }
  return found;
}

function entryOf(raw: Uint8Array, database: string): CollectionDefinition {
  const { name, type, info, options } = definitionOf(raw, `a collection of ${database}`) as ListedCollection;
  return {
    database,
    name,
    kind: type === 'view' || type === 'timeseries' ? type : 'collection',
    ...(info?.uuid && { uuid: view(info.uuid.buffer).toString('hex') }),
    options: options ?? {},
    indexes: [],
  };
}

interface ListedCollection {
  readonly name: string;
  readonly type?: string;
  readonly info?: { readonly uuid?: Binary };
  readonly options?: Document;
}

async function readIndexes(
  member: Member,
  { database, name }: CollectionDefinition,
  signal: AbortSignal,
): Promise<Document[]> {
  const what = `${database}.${name}`;
  const doing = `to list the indexes of ${what}`;
  try {
    const listed = await readAll(member, { database, command: { listIndexes: name, cursor: {} }, doing, signal });
    return listed.map((raw) => definitionOf(raw, `an index of ${what}`));
  } catch (error) {
    // It was dropped between the two questions: the catalogue is asked for again, and will differ.
    if (error instanceof HoldfastError && error.context.serverCode === namespaceMissing) return [];
    throw error;
  }
}

/** Equal texts for equal catalogues. */
export function catalogueText(catalogue: Catalogue): string {
  return catalogue.map((one) => toText(one)).join('\n');
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function hiddenBuckets(database: string, name: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `the time series ${database}.${name} has no bucket collection that can be read`,
    remedy:
      'This release of the server keeps time series in another way; leave it out with «excludeCollections» and use mongodump.',
  });
}
