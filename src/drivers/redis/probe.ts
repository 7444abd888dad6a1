/** What can be said of a server before it is backed up. */
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { ErrorReply } from '../../protocols/redis/connection.ts';
import type { Finding, SourceContext } from '../driver.ts';
import { askInfo, type ServerInfo } from './backup.ts';
import { connect, placeOf, refusal } from './connect.ts';
import type { Settings } from './settings.ts';
import { serverTitle } from './versions.ts';

/** Never throws for a state of the source: it becomes a finding. Starts no replication. */
export async function probe(source: SourceContext<Settings>): Promise<Finding[]> {
  try {
    await using connection = await connect(source);
    const info = await askInfo(source, connection);
    const replica = await connection.call('REPLCONF', 'capa', 'eof', 'capa', 'psync2');
    if (replica instanceof ErrorReply) throw refusal(placeOf(source.settings), 'REPLCONF', replica);
    const found = findings(placeOf(source.settings).title, info);
    return info.has('used_memory') ? found : [...found, unknown];
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === 'cancelled') throw error;
    return [{ level: 'error', message: error.message, remedy: error.remedy }];
  }
}

const unknown: Finding = {
  level: 'warning',
  message: 'the user may not run INFO: keys, memory and the state of replication are unknown',
  remedy: 'Grant +info to the user, so that this check sees them.',
};

function findings(title: string, info: ServerInfo): Finding[] {
  const valkey = info.get('valkey_version');
  const version = valkey ?? info.get('redis_version') ?? '0';
  const server = serverTitle({ product: valkey === undefined ? 'redis' : 'valkey', version });
  const size = formatBytes(Number(info.get('used_memory') ?? 0));
  const keys = [...info].reduce((sum, [name, value]) => sum + (/^db\d+$/.test(name) ? keysOf(value) : 0), 0);
  const holds = info.has('used_memory') ? ` with ${keys} keys in ${size} of memory` : '';
  const found: Finding[] = [{ level: 'ok', message: `${title} is ${server}${holds}` }];
  if (info.get('cluster_enabled') === '1') found.push(oneNode);
  if (info.get('role') === 'slave' && info.get('master_link_status') === 'down') found.push(noLink);
  if (info.get('rdb_last_bgsave_status') === 'err') found.push(failedSave);
  return found;
}

function keysOf(value: string): number {
  return Number(/^keys=(\d+)/.exec(value)?.[1] ?? 0);
}

const oneNode: Finding = {
  level: 'warning',
  message: 'it is one node of a cluster: a snapshot holds the slots of this node only',
  remedy: 'Declare a source for every primary of the cluster, or for one replica of each.',
};
const noLink: Finding = {
  level: 'error',
  message: 'it is a replica that has no connection to its primary, and gives its data to nobody meanwhile',
  remedy: 'Look why the replica is not connected, or back up the primary.',
};
const failedSave: Finding = {
  level: 'warning',
  message: 'its last attempt to save failed',
  remedy: 'Look at the log of the server: usually memory for the fork (vm.overcommit_memory) or disk space is short.',
};
