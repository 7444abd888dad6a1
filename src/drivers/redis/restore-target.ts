/** The server to restore into: what it is, what it holds, and whether it can take the data. Nothing is changed here. */
import { randomBytes } from 'node:crypto';
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type Connection, ErrorReply, type Reply, replyText } from '../../protocols/redis/connection.ts';
import { probePayload } from '../../protocols/redis/dump-payload.ts';
import { keyTitle } from '../../protocols/redis/rdb-reader.ts';
import type { SourceContext } from '../driver.ts';
import { askInfo, type ServerInfo } from './backup.ts';
import { placeOf, refusal } from './connect.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { Settings } from './settings.ts';

/** Servers take no longer argument unless told to. */
const mostPayloadBytes = 512 * 1024 * 1024 - 1024;
const usualDatabases = 16;

export interface Target {
  readonly connection: Connection;
  readonly title: string;
  readonly user: string | undefined;
  /** Keys in each database that holds any. */
  readonly keys: ReadonlyMap<number, number>;
  readonly databases: number;
}

/** `restore.target-invalid` if the data cannot go there, and why. */
export async function examineTarget(
  source: SourceContext<Settings>,
  connection: Connection,
  plan: RestorePlan,
): Promise<Target> {
  const { title, user } = placeOf(source.settings);
  const info = await askInfo(source, connection);
  refuseUnfit(title, info);
  refuseFull(title, info, plan);
  if (plan.largestBytes > mostPayloadBytes) throw tooLarge(plan);
  const keys = new Map<number, number>();
  for (const [name, value] of info) {
    const index = /^db(\d+)$/.exec(name)?.[1];
    if (index !== undefined) keys.set(Number(index), Number(/^keys=(\d+)/.exec(value)?.[1] ?? 0));
  }
  const target = { connection, title, user, keys, databases: await countDatabases(connection) };
  const highest = Math.max(0, ...plan.databases.keys());
  await mustBeOk(target, 'SELECT', highest);
  await mustBeOk(target, 'SELECT', 0);
  if (!info.has('used_memory')) await countKeys(target, plan, keys);
  if (plan.keys > 0) await tryVersion(target, plan.needs);
  return target;
}

/** Without INFO: only the databases the data goes to. */
async function countKeys(target: Target, plan: RestorePlan, keys: Map<number, number>): Promise<void> {
  for (const index of plan.databases.keys()) {
    await mustBeOk(target, 'SELECT', index);
    const count = Number(await accepted(target, 'DBSIZE'));
    if (count > 0) keys.set(index, count);
  }
}

function refuseUnfit(title: string, info: ServerInfo): void {
  if (info.get('role') === 'slave') {
    throw invalid(`${title} is a replica`, 'Restore into its primary; replicas follow.');
  }
  if (info.get('cluster_enabled') === '1') {
    throw invalid(
      `${title} is a node of a cluster, which takes only the keys of its own slots`,
      'Restore into a server that is no cluster, or into a directory, and move the keys from there with redis-cli --cluster import.',
    );
  }
}

/** A server at its limit would evict keys to make room, or refuse half way. */
function refuseFull(title: string, info: ServerInfo, plan: RestorePlan): void {
  const limit = Number(info.get('maxmemory') ?? 0);
  const used = Number(info.get('used_memory') ?? 0);
  if (limit === 0 || used + plan.usedMemoryBytes <= limit) return;
  throw invalid(
    `${title} may use ${formatBytes(limit)} and uses ${formatBytes(used)}; the data needs up to ${formatBytes(plan.usedMemoryBytes)} more`,
    'Raise maxmemory of the server for the restore, or restore chosen keys with --include.',
  );
}

function tooLarge({ largestBytes, largestKey }: RestorePlan): HoldfastError {
  return invalid(
    `the value of ${largestKey ? keyTitle(largestKey) : 'a key'} takes ${formatBytes(largestBytes)}, more than a server accepts in one command`,
    'Restore into a directory and start a server with the file, or leave the key out with --exclude.',
  );
}

async function countDatabases(connection: Connection): Promise<number> {
  const reply = await connection.call('CONFIG', 'GET', 'databases');
  const value = Array.isArray(reply) ? Number(replyText(reply[1])) : Number.NaN;
  return Number.isInteger(value) ? value : usualDatabases;
}

/** Asks with a payload that no server takes: it looks at the version first. Nothing is stored. */
async function tryVersion({ connection, title, user }: Target, version: number): Promise<void> {
  const name = `holdfast-probe-${randomBytes(12).toString('hex')}`;
  const reply = await connection.call('RESTORE', name, 0, probePayload(version));
  if (reply instanceof ErrorReply && /bad data format/i.test(reply.message)) return;
  if (reply instanceof ErrorReply && /payload version/i.test(reply.message)) {
    throw invalid(
      `${title} is too old for this data: it does not know RDB version ${version}`,
      "Restore into a server at least as new as the one it comes from (of the same kind: Redis 7.4 and newer and Valkey 9 cannot read each other's).",
    );
  }
  throw refusal({ title, user }, 'RESTORE', reply instanceof ErrorReply ? reply : new ErrorReply(replyText(reply)));
}

/** Runs a command that must not be refused. */
export async function accepted(target: Target, ...parts: readonly (string | number | Uint8Array)[]): Promise<Reply> {
  const reply = await target.connection.call(...parts);
  if (reply instanceof ErrorReply) throw refusal(target, String(parts[0]), reply);
  return reply;
}

export async function mustBeOk(target: Target, ...parts: readonly (string | number)[]): Promise<void> {
  await accepted(target, ...parts);
}

function invalid(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'restore.target-invalid', message, remedy });
}
