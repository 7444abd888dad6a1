/** How all collections of a backup come from one instant, and that they did. */
import { type Document, Timestamp } from 'mongodb';
import { HoldfastError } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import { type Catalogue, type CollectionDefinition, catalogueText, readCatalogue } from './catalogue.ts';
import { requireChoice } from './choice.ts';
import type { Member } from './connect.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

export type Method = 'snapshot' | 'oplog' | 'none';

/** The first release with reads at a cluster time outside of transactions: MongoDB 5.0. */
const snapshotWireVersion = 13;
const attempts = 10;
const pauseMs = 200;

/** What the settings ask for, if the server can do it: `source.unsupported`. */
export function methodFor({ consistency, databases, exclude, excludeCollections }: Settings, member: Member): Method {
  const hasSnapshots = member.role !== 'standalone' && member.wireVersion >= snapshotWireVersion;
  const isWhole = databases === 'all' && exclude.length === 0 && excludeCollections.length === 0;
  if (consistency === 'auto') {
    if (member.role === 'standalone') return 'none';
    if (hasSnapshots) return 'snapshot';
    return isWhole ? 'oplog' : 'none';
  }
  if (consistency === 'none') return 'none';
  if (member.role === 'standalone') throw cannot(member, consistency, 'it is not in a replica set');
  if (consistency === 'snapshot' && !hasSnapshots)
    throw cannot(member, consistency, `it is MongoDB ${member.version}, older than 5.0`);
  if (consistency === 'oplog' && !isWhole) {
    throw cannot(
      member,
      consistency,
      'the oplog is of the whole server, and the source leaves databases or collections out',
    );
  }
  return consistency;
}

function cannot({ title }: Member, method: Method, why: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `${title} cannot be backed up with «consistency: ${method}»: ${why}`,
    remedy: 'Set «consistency: auto», or turn the server into a replica set of one member (docs/drivers/mongodb.md).',
  });
}

export interface Instant {
  readonly catalogue: Catalogue;
  /** Absent for a standalone server. */
  readonly time?: Timestamp;
}

/**
 * The catalogue, and a time at which it was exactly that: listings are never of a snapshot, so it is read before and after
 * the time is asked for, until nothing changed in between. `source.busy`, and as `requireChoice`.
 */
export async function findInstant(source: Source, member: Member): Promise<Instant> {
  const { settings, signal, clock } = source;
  let before = await readCatalogue(member, settings, signal);
  for (let attempt = 1; ; attempt++) {
    const time = member.role === 'standalone' ? undefined : await latestTime(member, 'opTime');
    const after = await readCatalogue(member, settings, signal);
    if (catalogueText(before) === catalogueText(after)) {
      const warning = await requireChoice(member, settings, after);
      if (warning !== undefined) source.report({ type: 'warning', code: 'source.missing', message: warning });
      return { catalogue: after, ...(time && { time }) };
    }
    if (attempt === attempts) throw restless(member);
    before = after;
    await clock.sleep(pauseMs, { signal });
  }
}

/** `opTime`: of the last write the member has. `majorityOpTime`: of the last one that no election can take back. */
export async function latestTime(member: Member, which: 'opTime' | 'majorityOpTime'): Promise<Timestamp> {
  const { lastWrite } = await member.command('admin', { hello: 1 });
  const time: unknown = (lastWrite as Document | undefined)?.[which]?.ts;
  if (time instanceof Timestamp) return time;
  throw new HoldfastError({
    code: 'source.unsupported',
    message: `${member.title} does not say when its last write was`,
    remedy: 'Check the state of the replica set (rs.status()).',
  });
}

/** A collection that was dropped or renamed meanwhile reads like an empty one: only then is it known that none was. `source.changed`. */
export async function mustStillExist(source: Source, member: Member, catalogue: Catalogue): Promise<void> {
  const now = await readCatalogue(member, source.settings, source.signal);
  const key = ({ database, name, uuid }: CollectionDefinition): string => JSON.stringify([database, name, uuid ?? '']);
  const there = new Set(now.map(key));
  const lost = catalogue.find((one) => one.kind !== 'view' && !there.has(key(one)));
  if (!lost) return;
  throw new HoldfastError({
    code: 'source.changed',
    message: `the collection ${lost.database}.${lost.name} was dropped, renamed or made anew while it was read`,
    remedy: 'Back the source up again, or leave collections that come and go out with «excludeCollections».',
    retry: 'later',
  });
}

function restless({ title }: Member): HoldfastError {
  return new HoldfastError({
    code: 'source.busy',
    message: `collections and indexes of ${title} change all the time`,
    remedy: 'Leave the ones that come and go out with «excludeCollections», or back up when no index is being built.',
    retry: 'later',
  });
}

/** How the documents of one collection are asked for. */
export function findCommand(
  collection: string,
  definition: CollectionDefinition,
  method: Method,
  time?: Timestamp,
): Document {
  if (method === 'none') return { find: collection };
  if (method === 'snapshot' && hasSnapshots(definition)) {
    return { find: collection, readConcern: { level: 'snapshot', atClusterTime: time } };
  }
  return { find: collection, readConcern: { level: 'majority' } };
}

/** Servers keep no former states of capped collections; those of `admin` are few and change by hand. */
export function hasSnapshots({ database, options }: CollectionDefinition): boolean {
  return options.capped !== true && database !== 'admin';
}
