/**
 * What is known of all sources, kept in memory for each catalogue: of ten thousand sources, reading the rows again would take
 * longer than all that is done with them. Every change of a repository's content changes its stamp in the same transaction.
 */
import type { Catalogue } from '../open.ts';
import { contentStamps, type KnownSource, knownSources } from './summary.ts';

/** By repository, then by source. */
export type RememberedSources = ReadonlyMap<string, ReadonlyMap<string, KnownSource>>;

interface Memory {
  readonly stamps: ReadonlyMap<string, string>;
  readonly sources: RememberedSources;
}

const nothing: Memory = { stamps: new Map(), sources: new Map() };
const memories = new WeakMap<Catalogue, Promise<Memory>>();

/** As of now: one small statement where nothing changed. Memory: about 500 bytes a source and repository. */
export async function rememberedSources(catalogue: Catalogue): Promise<RememberedSources> {
  const before = memories.get(catalogue) ?? Promise.resolve(nothing);
  const next = before.then((memory) => renew(catalogue, memory));
  memories.set(catalogue, next);
  try {
    return (await next).sources;
  } catch (error) {
    if (memories.get(catalogue) === next) memories.delete(catalogue);
    throw error;
  }
}

/** Stamps are read first: what changes between the two is read again the next time. */
async function renew(catalogue: Catalogue, before: Memory): Promise<Memory> {
  const rows = await catalogue.db
    .selectFrom('bookmark')
    .select(['name', 'position'])
    .where('name', '>=', contentStamps)
    .where('name', '<', `${contentStamps}\uffff`)
    .execute();
  const stamps = new Map(rows.map((row) => [row.name.slice(contentStamps.length), row.position]));
  const sources = new Map<string, ReadonlyMap<string, KnownSource>>();
  for (const [repository, stamp] of stamps) {
    const known = before.stamps.get(repository) === stamp ? before.sources.get(repository) : undefined;
    sources.set(repository, known ?? (await readRepository(catalogue, repository)));
  }
  return { stamps, sources };
}

async function readRepository(catalogue: Catalogue, repository: string): Promise<ReadonlyMap<string, KnownSource>> {
  const rows = await knownSources(catalogue, { repository });
  return new Map(rows.map((row) => [row.source, row]));
}
