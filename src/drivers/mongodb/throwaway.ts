/** A restored copy: a mongod of our own takes the data, and every document is read back from it. */
import { type Document, EJSON } from 'bson';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { RestoredCopy, SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { compare, takeFacts } from './compare.ts';
import { openMember } from './connect.ts';
import { openDump } from './dump.ts';
import type { FactsTaker } from './fingerprint.ts';
import { findPlace } from './programs.ts';
import { restoreToServer } from './restore-server.ts';
import { type Settings, settings } from './settings.ts';
import { startServer } from './throwaway-server.ts';

type Source = SourceContext<Settings>;

export async function restoreThrowaway(
  source: Source,
  contents: SnapshotContents,
  throwaway: Throwaway,
): Promise<RestoredCopy> {
  const dump = await openDump(source.signal, contents);
  const place = await findPlace(source, dump, throwaway);
  try {
    const server = await startServer(source, place);
    const close = async (): Promise<void> => {
      await server[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    };
    const copy: Source = { ...source, host: place.host, settings: settings.parse({ socket: server.socketPath }) };
    try {
      let atLoad: FactsTaker | undefined;
      const { bytes } = await restoreToServer(copy, contents, { dryRun: false, overwrite: false }, async () => {
        atLoad = (await takeFacts(copy, 'full')).taker;
      });
      const stages = atLoad && { atLoad, replayed: (await takeFacts(copy, 'full')).taker };
      return {
        bytes,
        instance: place.title,
        compare: (expected) => compare({ copy, contents, ...(stages && { stages }) }, expected),
        query: (statement) => query(copy, statement),
        environment: place.host.kind === 'local' ? environmentOf(server.socketPath) : {},
        isApart: place.host.kind !== 'local',
        clients: ['mongosh', 'mongo', 'mongodump', 'mongoexport', 'mongostat', 'mongotop'],
        [Symbol.asyncDispose]: close,
      };
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

function environmentOf(socketPath: string): Record<string, string> {
  return {
    HOLDFAST_COPY_SOCKET: socketPath,
    HOLDFAST_COPY_URL: `mongodb://${encodeURIComponent(socketPath)}/?directConnection=true`,
  };
}

/** One command in Extended JSON, its database as `$db`: `{"$db": "shop", "count": "orders"}`. A line for each document that is found. */
async function query(copy: Source, statement: string): Promise<string> {
  const { $db = 'admin', ...command } = parseCommand(statement);
  await using member = await openMember(copy);
  const reply = await member.command(String($db), command);
  const cursor = reply.cursor as { firstBatch?: Document[] } | undefined;
  if (cursor?.firstBatch) return cursor.firstBatch.map((one) => EJSON.stringify(one)).join('\n');
  if ('n' in reply) return String(reply.n);
  const { ok: _, $clusterTime: __, operationTime: ___, ...rest } = reply;
  return EJSON.stringify(rest);
}

function parseCommand(statement: string): Document {
  try {
    return EJSON.parse(statement) as Document;
  } catch (cause) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `«${statement}» is no command: ${messageOf(cause)}`,
      remedy: 'Write one command in Extended JSON, for example {"$db": "shop", "count": "orders"}.',
      cause,
    });
  }
}
