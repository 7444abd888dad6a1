/**
 * Asks a server for all its data as a replica does: `PSYNC ? -1`, then an RDB file in one of two framings: `$<length>`, or
 * `$EOF:<mark>` where the end is told by a mark of 40 characters. Newlines keep the connection alive before it, both ways.
 * Sources: replication.c of Redis 5.0 to 7.4 and Valkey 8.0; redis.io, "Redis replication".
 */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { type Connection, ErrorReply, type Reply, replyText } from './connection.ts';

export interface ReplicaStream {
  readonly replicationId: string;
  readonly offset: string;
  /** Bytes of the file, if the server says. */
  readonly length: number | undefined;
  /** The file's bytes, each piece ours to keep. Ends after the last one; throws `source.unreadable` if the stream ends before it. */
  pieces(): AsyncGenerator<Uint8Array>;
}

const markLength = 40;
/** A replica that has the file and says nothing for `repl-timeout` (60 s) is dropped. */
const aliveEveryMs = 1000;
const longestSilenceMs = 600_000;

export interface ReplicaRequest {
  /** Of Valkey: the version we can read, its own. It writes a format for replicas of 7.2 otherwise, and fails where that cannot hold a value. */
  readonly version?: string;
  /** Makes an error of what the server says. */
  readonly refused: (command: string, reply: ErrorReply) => HoldfastError;
}

/** Resolves when the file begins. Until then the server forks and, unless it is diskless, writes it to its own disk. */
export async function openReplicaStream(
  connection: Connection,
  { version, refused }: ReplicaRequest,
): Promise<ReplicaStream> {
  const capabilities = await connection.call('REPLCONF', 'capa', 'eof', 'capa', 'psync2');
  if (capabilities instanceof ErrorReply) throw refused('REPLCONF', capabilities);
  // A Sentinel takes whoever is listed for a replica it may promote one day, and never forgets it; not at a port that cannot be.
  await connection.call('REPLCONF', 'listening-port', '65536');
  if (version !== undefined) await connection.call('REPLCONF', 'version', version);
  // From 7.0 on: the server then keeps nothing of what is written meanwhile for us, and closes the connection after the file.
  // It must not have anything of ours to read by then: it would reset the connection, and what is on its way would be lost.
  const isAlone = (await connection.call('REPLCONF', 'rdb-only', '1')) === 'OK';
  await connection.send('PSYNC', '?', '-1');
  const answer = await lineAfterBlanks(connection);
  if (answer.startsWith('-')) throw refused('PSYNC', new ErrorReply(answer.slice(1)));
  const match = /^\+FULLRESYNC ([0-9a-f]{40}) (\d+)$/.exec(answer);
  if (!match) throw unexpected(connection, answer);
  const opening = await lineAfterBlanks(connection);
  if (opening.startsWith('-')) throw refused('PSYNC', new ErrorReply(opening.slice(1)));
  const [, replicationId, offset] = match;
  // Older ones go on with the commands that follow, and drop a replica that says nothing.
  connection.wantsLife = !isAlone;
  const marked = /^\$EOF:(.{40})$/.exec(opening);
  if (marked) {
    const pieces = () => untilMark(connection, Buffer.from(marked[1], 'latin1'));
    return { replicationId, offset, length: undefined, pieces };
  }
  const sized = /^\$(\d{1,15})$/.exec(opening);
  if (!sized) throw unexpected(connection, opening);
  const length = Number(sized[1]);
  return { replicationId, offset, length, pieces: () => ofLength(connection, length) };
}

/**
 * Keeps a connection alive until the signal is aborted: tells the server once a second that we are there, if it wants to know,
 * as a replica does while it loads, and ends the connection when the server has said nothing for ten minutes although we wait for it.
 */
export async function watchConnection(connection: Connection, clock: Clock, stop: AbortSignal): Promise<void> {
  let waitingFor = 0;
  let sinceMs = 0;
  try {
    while (!stop.aborted) {
      await clock.sleep(aliveEveryMs, { signal: stop, background: true });
      const nowMs = clock.monotonicMs();
      if (connection.waitingFor !== waitingFor || waitingFor === 0) {
        waitingFor = connection.waitingFor;
        sinceMs = nowMs;
      } else if (nowMs - sinceMs > longestSilenceMs) connection.cut(silence(connection));
      if (connection.wantsLife) await connection.write(newline);
    }
  } catch (error) {
    if (!hasCode(error, 'cancelled', 'host.unreachable')) throw error;
  }
}

function silence(connection: Connection): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${connection.name} has said nothing for ten minutes`,
    remedy: 'Look at the server and the network, and try again.',
    retry: 'later',
  });
}

const newline = Buffer.from('\n');

async function lineAfterBlanks(connection: Connection): Promise<string> {
  while (true) {
    const line = await connection.line();
    if (line !== '') return line;
  }
}

async function* ofLength(connection: Connection, length: number): AsyncGenerator<Uint8Array> {
  let left = length;
  while (left > 0) {
    const chunk = await connection.chunk();
    if (!chunk) throw cutShort(connection, length - left);
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    yield piece;
  }
}

/** What may be the beginning of the mark is held back until more is there. */
async function* untilMark(connection: Connection, mark: Buffer): AsyncGenerator<Uint8Array> {
  let held: Buffer = Buffer.alloc(0);
  let bytes = 0;
  while (true) {
    const chunk = await connection.chunk();
    if (!chunk) throw cutShort(connection, bytes);
    const all = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const end = all.indexOf(mark);
    const sure = end >= 0 ? end : Math.max(0, all.length - markLength + 1);
    bytes += sure;
    if (sure > 0) yield all.subarray(0, sure);
    if (end >= 0) return;
    held = all.subarray(sure);
  }
}

function cutShort(connection: Connection, bytes: number): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${connection.name} ended the stream of its data after ${bytes} bytes, before it was complete`,
    remedy:
      'Look at the server log: it says whether it could not save (memory for the fork, disk space), or dropped the connection (client-output-buffer-limit replica, repl-timeout).',
    retry: 'later',
  });
}

function unexpected(connection: Connection, line: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `${connection.name} answers a replica with ${JSON.stringify(line.slice(0, 80))}`,
    remedy: 'Only servers that speak the replication protocol of Redis 2.8 or newer can be backed up.',
  });
}

/** `INFO`'s lines as a map. */
export function parseInfo(reply: Reply): Map<string, string> {
  const lines = replyText(reply).split(/\r?\n/);
  const pairs = lines.filter((line) => /^[^#][^:]*:/.test(line));
  return new Map(pairs.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
