/** What was written while collections were read, for a restore to replay: as `mongodump --oplog` stores it. */
import { type Document, deserialize, Timestamp } from 'bson';
import { HoldfastError } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import type { Member } from './connect.ts';
import { latestTime } from './consistency.ts';
import { readAll, readRaw } from './read.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

/** Commands in the oplog that change documents only. What changes collections would make the archive's own definitions wrong. */
const replayable = new Set(['applyOps', 'commitTransaction', 'abortTransaction', 'abortIndexBuild']);

/**
 * Where to start: the last write no election can take back, or the beginning of the oldest transaction that is still open.
 * Collections are read with majority concern afterwards, so that nothing read is older than this.
 */
export async function oplogStart(source: Source, member: Member): Promise<Timestamp> {
  const latest = await latestTime(member, 'majorityOpTime');
  const open = await readAll(member, {
    database: 'config',
    command: {
      find: 'transactions',
      filter: { state: { $in: ['prepared', 'inProgress'] } },
      sort: { startOpTime: 1 },
      limit: 1,
    },
    doing: 'to list open transactions',
    signal: source.signal,
  });
  const [first] = open.map((raw) => (deserialize(raw).startOpTime as Document | undefined)?.ts as unknown);
  return first instanceof Timestamp && first.lessThan(latest) ? first : latest;
}

/** Every entry from `start` to what is there now, each checked to be one that can be replayed. `source.changed`. */
export async function* readOplog(source: Source, member: Member, start: Timestamp): AsyncGenerator<Buffer[]> {
  const end = await latestTime(member, 'majorityOpTime');
  let isFirst = true;
  for await (const entries of readRaw(member, {
    database: 'local',
    command: { find: 'oplog.rs', filter: { ts: { $gte: start, $lte: end } }, sort: { $natural: 1 } },
    doing: 'to read the oplog',
    signal: source.signal,
  })) {
    const first = isFirst ? checkFirst(member, entries[0], start) : [];
    for (const raw of isFirst ? entries.slice(1) : entries) refuseUnfit(deserialize(raw) as OplogEntry);
    const kept = isFirst ? [...first, ...entries.slice(1)] : entries;
    isFirst = false;
    if (kept.length > 0) yield kept;
  }
  if (isFirst) throw rolledOver(member);
}

/** If the entry at the start is gone, so may be what came after it. What it says is in all that was read: only a transaction that began with it needs it. */
function checkFirst(member: Member, raw: Buffer, start: Timestamp): Buffer[] {
  const { ts, op, o } = deserialize(raw) as OplogEntry;
  if (!ts.equals(start)) throw rolledOver(member);
  return op === 'c' && !('applyOps' in o) ? [] : [raw];
}

export interface OplogEntry {
  readonly ts: Timestamp;
  readonly op: string;
  readonly ns: string;
  readonly o: Document;
}

/** Of databases that are not backed up. */
export function isOwn(namespace: string): boolean {
  return /^(?:config|local)\./.test(namespace);
}

function refuseUnfit({ op, ns, o }: OplogEntry): void {
  if (isOwn(ns)) return;
  if (ns === 'admin.system.version' && op !== 'n') throw cannotReplay('the feature compatibility version was changed');
  if (ns.endsWith('.system.views')) throw cannotReplay('a view was made, changed or dropped');
  if (op !== 'c') return;
  const [command] = Object.keys(o);
  if (!replayable.has(command)) throw cannotReplay(`«${command}» was done in ${ns.split('.')[0]}`);
  if (o.prepare === true) throw cannotReplay('a transaction over several shards was prepared');
  if (command === 'applyOps' && Array.isArray(o.applyOps)) {
    for (const inner of o.applyOps as OplogEntry[]) refuseUnfit(inner);
  }
}

function cannotReplay(what: string): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: `${what} during the backup, which a restore could not replay`,
    remedy: 'Back the source up again when no collections or indexes are made, changed or dropped.',
    retry: 'later',
  });
}

function rolledOver({ title }: Member): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: `the oplog of ${title} is too short: it was overwritten while the collections were read`,
    remedy: 'Make it larger (replSetResizeOplog, or minRetentionHours) so that it covers the time of a backup.',
    retry: 'later',
  });
}
