/** A snapshot's archive, as restores read it. */
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { compileSelection } from '../../base/patterns.ts';
import { factsFolder } from '../../model/snapshot.ts';
import { type ArchiveCollection, dataCollection } from '../../protocols/mongodb/archive.ts';
import { type ArchivePart, readArchive } from '../../protocols/mongodb/archive-reader.ts';
import type { RestoreRequest, SnapshotContents } from '../driver.ts';
import { dumpPath, oplogCollection, type SourceFacts, sourceFactsFile } from './backup.ts';
import { isAccountCollection } from './choice.ts';

export interface Dump {
  readonly bytes: number;
  readonly facts: SourceFacts;
  readonly collections: readonly ArchiveCollection[];
  readonly hasOplog: boolean;
}

/** Reads the beginning. `restore.failed` if there is none, `repository.damaged`. */
export async function openDump(signal: AbortSignal, contents: SnapshotContents): Promise<Dump> {
  const node = await contents.node(dumpPath);
  if (node?.type !== 'file') throw noDump(contents);
  const facts = await readSourceFacts(contents);
  for await (const part of archiveParts(signal, contents)) {
    if (part.type !== 'prelude') break;
    const collections = part.collections.filter(({ database }) => database !== '');
    return { bytes: node.size, facts, collections, hasOplog: collections.length < part.collections.length };
  }
  throw noDump(contents);
}

export async function* archiveParts(signal: AbortSignal, contents: SnapshotContents): AsyncGenerator<ArchivePart> {
  for await (const part of readArchive(contents.read(dumpPath))) {
    throwIfCancelled(signal);
    yield part;
  }
}

async function readSourceFacts(contents: SnapshotContents): Promise<SourceFacts> {
  const path = `/${factsFolder}/${sourceFactsFile}`;
  const parts: Uint8Array[] = [];
  if (await contents.node(path)) for await (const part of contents.read(path)) parts.push(Buffer.from(part));
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as SourceFacts;
  } catch {
    // Only what a person reads, and the version of the server, are in it.
    return { server: contents.paths[0] ?? '', version: '0', method: 'none' };
  }
}

export type Choose = (database: string, collection: string) => boolean;

/** Patterns see `/<database>/<collection>`: `shop/orders`, `/shop/**`, `events_*`. */
export function chooser(request: Pick<RestoreRequest, 'include' | 'exclude'>): Choose {
  if (!isPart(request)) return () => true;
  const selection = compileSelection(request);
  return (database, collection) => selection.select(`/${database}/${collection}`, false).selected;
}

export function isPart({ include, exclude }: Pick<RestoreRequest, 'include' | 'exclude'>): boolean {
  return Boolean(include?.length) || Boolean(exclude?.length);
}

/** Users, roles, and the version of their format: merged by the server itself. */
export function isAccounts({ database, collection }: Pick<ArchiveCollection, 'database' | 'collection'>): boolean {
  return isAccountCollection(database, collection);
}

export function isOplog({ database, collection }: { database: string; collection: string }): boolean {
  return database === '' && collection === oplogCollection;
}

/** `shop.orders`; of a time series, the collection of its buckets. */
export function dataNamespace(one: ArchiveCollection): string {
  return `${one.database}.${dataCollection(one)}`;
}

function noDump({ id }: SnapshotContents): HoldfastError {
  return new HoldfastError({
    code: 'restore.failed',
    message: `the snapshot ${id.slice(0, 8)} holds no MongoDB archive`,
    remedy: 'Choose a snapshot of a mongodb source.',
  });
}
