/** Reads documents as the server sends them: raw BSON that never becomes a JavaScript value. */
import type { Document } from 'mongodb';
import { throwIfCancelled } from '../../base/errors.ts';
import type { Member } from './connect.ts';
import { failureOf } from './failures.ts';

export interface RawQuery {
  readonly database: string;
  /** A command that answers with a cursor, its read concern included. */
  readonly command: Document;
  /** How errors name it. */
  readonly doing: string;
  readonly signal?: AbortSignal;
}

/** Batches in order, each as the server sent it (up to 16 MiB). The next one is on its way while one is used: memory, two. */
export async function* readRaw(
  member: Member,
  { database, command, doing, signal }: RawQuery,
): AsyncGenerator<Buffer[]> {
  const cursor = member.client.db(database).runCursorCommand(command, { raw: true });
  let waiting: Promise<boolean> | undefined;
  try {
    waiting = cursor.hasNext();
    while (await waiting) {
      const documents = cursor.readBufferedDocuments() as unknown as Buffer[];
      waiting = cursor.hasNext();
      // Awaited in the next turn; until then nobody else may call it unhandled.
      waiting.catch(() => undefined);
      yield documents;
    }
  } catch (error) {
    throwIfCancelled(signal);
    throw failureOf(member.title, doing, error);
  } finally {
    await waiting?.catch(() => undefined);
    await cursor.close().catch(() => undefined);
  }
}

/** All documents at once: for what is known to be small. */
export async function readAll(member: Member, query: RawQuery): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const batch of readRaw(member, query)) all.push(...batch);
  return all;
}
