/**
 * Puts collections back into a running server. What is there already stays untouched until everything is loaded: a
 * collection whose name is taken is loaded under another one, and the two change places at the end.
 */
import { formatInstant } from '../../base/clock.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import type { RestoreOutcome, SnapshotContents } from '../driver.ts';
import { restoreAccounts } from './accounts.ts';
import { readCatalogue } from './catalogue.ts';
import { openMember } from './connect.ts';
import { archiveParts, chooser, dataNamespace, isAccounts, isOplog, isPart, openDump } from './dump.ts';
import { insertRaw } from './raw-insert.ts';
import { Replay } from './replay.ts';
import { type Load, planLoads, type RestoreChoice, type Source, steps, type Work } from './restore-plan.ts';
import { changePlaces, create, makeRoom } from './swap.ts';
import { undo, withRemains } from './undo.ts';

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
  const problems: string[] = [];
  try {
    problems.push(...(await load(work, beforeReplay)));
    await changePlaces(work);
  } catch (error) {
    const remains = await undo(work);
    if (remains.length > 0 && source.signal.aborted) {
      source.report({
        type: 'warning',
        code: 'restore.failed',
        message: `of the restore is left: ${remains.join('; ')}`,
      });
    }
    throwIfCancelled(source.signal);
    throw withRemains(error, remains);
  }
  return { steps: steps(work), bytes: dump.bytes, files: 1, problems };
}

/** Gives what is not as it was stored, a sentence each. */
async function load(work: Work, beforeReplay: () => Promise<void>): Promise<string[]> {
  const { loads, dump } = work;
  for (const one of loads) {
    if (one.of.kind === 'timeseries' && one.existing) await makeRoom(work, one, one.existing);
    if (one.of.kind !== 'view') await create(work, one);
  }
  const stamped = await loadDocuments(work, beforeReplay);
  for (const one of loads) await createIndexes(work, one);
  if (!isPart(work.request) && dump.collections.some(isAccounts)) {
    await restoreAccounts(work.member, work.source.signal, work.contents);
  }
  return [...stamped]
    .filter(([, count]) => count > 0)
    .map(
      ([name, count]) =>
        `${count} document(s) of ${name} have empty timestamps, in whose place this release of the server puts the present time: restore into a newer one (8.0) to keep them`,
    );
}

/** Documents and oplog in the order of the archive. Gives how many documents of which collections the server changed. */
async function loadDocuments(work: Work, beforeReplay: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
  const { source, contents, member, loads } = work;
  const stamped = new Map<string, number>();
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
    if (name === undefined) continue;
    const count = await insertRaw(member, part.database, name, part.documents);
    const title = `${part.database}.${part.collection}`;
    stamped.set(title, (stamped.get(title) ?? 0) + count);
  }
  return stamped;
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
