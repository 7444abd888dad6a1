/** Compares a restored copy, fact by fact, with what the backup recorded. */
import { HoldfastError } from '../../base/errors.ts';
import { type Check, compareFacts, type Fact, type Fingerprint } from '../../model/fingerprint.ts';
import { dataCollection } from '../../protocols/mongodb/archive.ts';
import type { SnapshotContents, SourceContext } from '../driver.ts';
import { type Catalogue, readCatalogue } from './catalogue.ts';
import { type Member, openMember } from './connect.ts';
import { archiveParts, isAccounts, isOplog, openDump } from './dump.ts';
import { fromText } from './exact.ts';
import { algorithms, FactsTaker, type Level } from './fingerprint.ts';
import { readRaw } from './read.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export interface Compared {
  /** The copy's server, as a source. */
  readonly copy: Source;
  readonly contents: SnapshotContents;
  /** Present if an oplog was replayed: the backup recorded what was read, which is what the copy held before that. */
  readonly stages?: { readonly atLoad: FactsTaker; readonly replayed: FactsTaker };
}

/** Every fact of the backup against the same fact of the copy; where an oplog was replayed, the copy has to be as the replay left it, too. `drill.failed` if the snapshot holds nothing. */
export async function compare(compared: Compared, expected: Fingerprint | undefined): Promise<Check[]> {
  const { copy, contents, stages } = compared;
  const { collections } = await openDump(copy.signal, contents);
  if (collections.every(isAccounts)) throw nothingToProve(contents);
  const level = expected === undefined ? 'full' : levelOf(expected);
  if (expected !== undefined && level === undefined) return [unknownAlgorithm(expected)];
  const { taker, catalogue } = await takeFacts(copy, stages ? 'full' : level!);
  const now = taker.facts(catalogue);
  const wanted = expected?.facts ?? (await factsOfArchive(compared));
  if (!stages) return compareFacts(wanted, now);
  const loaded = [...stages.atLoad.facts(catalogue).filter((fact) => !isOfAccounts(fact)), ...now.filter(isOfAccounts)];
  const replayed = afterReplay(stages.replayed.facts(catalogue));
  return [
    ...compareFacts(wanted, level === 'counts' ? loaded.filter(isCount) : loaded),
    ...compareFacts(replayed, afterReplay(now)),
  ];
}

function afterReplay(facts: readonly Fact[]): Fact[] {
  return facts.map((fact) => ({ ...fact, measure: `${fact.measure}, after the replay of the oplog` }));
}

/** Users and roles are merged last, and no changes of them are replayed. */
function isOfAccounts({ subject }: Fact): boolean {
  return subject.startsWith('collection admin.system.');
}

function isCount({ measure }: Fact): boolean {
  return measure !== 'digest';
}

/** Without a fingerprint: the copy has to hold what the archive announces and holds. */
async function factsOfArchive({ copy, contents }: Compared): Promise<Fact[]> {
  const { collections } = await openDump(copy.signal, contents);
  const catalogue: Catalogue = collections.map(({ database, collection, kind, metadata }) => {
    const { options, indexes } = fromText(metadata) as Pick<Catalogue[number], 'options' | 'indexes'>;
    return { database, name: collection, kind, options, indexes };
  });
  const taker = new FactsTaker('full');
  for await (const part of archiveParts(copy.signal, contents)) {
    if (part.type !== 'documents' || isOplog(part)) continue;
    taker.add(part.database, part.collection, part.documents);
  }
  return taker.facts(catalogue);
}

/** An empty server restored is no proof that anything can be. */
function nothingToProve({ id }: SnapshotContents): HoldfastError {
  return new HoldfastError({
    code: 'drill.failed',
    message: `the snapshot ${id.slice(0, 8)} holds no collection beside users and roles: there is nothing to prove`,
    remedy: 'Check that «databases» of the source and its address are the right ones, and back it up again.',
  });
}

function levelOf(expected: Fingerprint): Level | undefined {
  const levels = Object.keys(algorithms) as Level[];
  return levels.find((level) => algorithms[level] === expected.algorithm);
}

function unknownAlgorithm(expected: Fingerprint): Check {
  const known = Object.values(algorithms).join(' or ');
  return { subject: 'fingerprint', measure: 'algorithm', expected: expected.algorithm, found: known, ok: false };
}

/** Reads everything a server has. */
export async function takeFacts(copy: Source, level: Level): Promise<{ taker: FactsTaker; catalogue: Catalogue }> {
  await using member = await openMember(copy);
  const catalogue = await readCatalogue(member, copy.settings, copy.signal);
  const taker = new FactsTaker(level);
  for (const one of catalogue) {
    if (one.kind === 'view') continue;
    const collection = dataCollection({ collection: one.name, kind: one.kind });
    await takeFrom(member, copy, { taker, database: one.database, collection });
  }
  return { taker, catalogue };
}

async function takeFrom(
  member: Member,
  { signal }: Source,
  { taker, database, collection }: { taker: FactsTaker; database: string; collection: string },
): Promise<void> {
  const doing = `to read ${database}.${collection}`;
  for await (const documents of readRaw(member, { database, command: { find: collection }, doing, signal })) {
    taker.add(database, collection, documents);
  }
}
