/** Inserts documents as they are stored, byte for byte. */
import { createRequire } from 'node:module';
import type { Document } from 'mongodb';
import { view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { elementsOf, type RawElement } from '../../protocols/mongodb/elements.ts';
import type { Member } from './connect.ts';

/**
 * The client has no public way to send BSON that exists already: going through objects loses the order of fields whose
 * names look like numbers. What it uses inside for its own bulk writes does. The client's version is pinned, and
 * `raw-insert` in the tests notices if this goes away.
 */
interface DocumentSequence {
  push(document: Document, raw: Uint8Array): number;
}
const { DocumentSequence } = createRequire(import.meta.url)('mongodb/lib/cmap/commands.js') as {
  DocumentSequence: new (field: string) => DocumentSequence;
};

/** Of one message; servers take 48 MB and 100 000 documents. */
const mostBytes = 8 << 20;
const mostDocuments = 10_000;
const none: Document = {};

/** What a server says to a field of a command that it does not know. */
const unknownField = 40415;
/** Servers that put the present time wherever an empty timestamp is inserted, and cannot be told not to. */
const stamping = new WeakSet<Member>();

/**
 * In order; every refusal is an error: `restore.failed`. Past validators: what was stored may be older than they are. Gives how
 * many of the documents the server did not keep as they are: older releases put the present time in the place of empty
 * timestamps (MongoDB manual, "BSON types: timestamps"; SERVER-88750).
 */
export async function insertRaw(
  member: Member,
  database: string,
  collection: string,
  documents: readonly Uint8Array[],
): Promise<number> {
  let stamped = 0;
  for (let at = 0; at < documents.length; ) {
    const from = at;
    for (let bytes = 0; at < documents.length && at - from < mostDocuments; at++) {
      bytes += documents[at].length;
      if (bytes > mostBytes && at > from) break;
    }
    stamped += await insertBatch(member, database, collection, documents.slice(from, at));
  }
  return stamped;
}

async function insertBatch(
  member: Member,
  database: string,
  collection: string,
  documents: readonly Uint8Array[],
): Promise<number> {
  const insert = async (more: Document): Promise<void> => {
    const sequence = new DocumentSequence('documents');
    for (const one of documents) sequence.push(none, one);
    const words = {
      ...{ insert: collection, documents: sequence, ordered: true, bypassDocumentValidation: true },
      ...{ ...more, writeConcern: { w: 'majority' } },
    };
    const reply = await member.command(database, words, `to insert into ${database}.${collection}`);
    mustBeWritten(member, `${database}.${collection}`, reply, documents.length);
  };
  if (!stamping.has(member)) {
    try {
      await insert({ bypassEmptyTsReplacement: true });
      return 0;
    } catch (error) {
      // Nothing was inserted: the command itself was not understood.
      if (!(error instanceof HoldfastError) || error.context.serverCode !== unknownField) throw error;
      stamping.add(member);
    }
  }
  await insert({});
  return documents.filter(hasEmptyTimestamp).length;
}

/** Fields of the document itself, but for `_id`: no others are touched. */
function hasEmptyTimestamp(document: Uint8Array): boolean {
  const isEmpty = ({ type, name, value }: RawElement): boolean =>
    type === timestampType && name !== '_id' && value.readBigUInt64LE() === 0n;
  return elementsOf(view(document)).some(isEmpty);
}

const timestampType = 17;

/** A write may be refused in part, in an answer that says «ok». */
export function mustBeWritten({ title }: Member, what: string, reply: Document, wanted: number): void {
  const [first] = [reply.writeErrors, reply.writeConcernError].flat().filter(Boolean) as Document[];
  if (!first && Number(reply.n) === wanted) return;
  const why = first ? String(first.errmsg) : `it took ${Number(reply.n)} of ${wanted} documents`;
  throw new HoldfastError({
    code: 'restore.failed',
    message: `${title} does not take all documents of ${what}: ${why}`,
    remedy: 'Look at the log of the server, and restore again.',
  });
}
