/** Inserts documents as they are stored, byte for byte. */
import { createRequire } from 'node:module';
import type { Document } from 'mongodb';
import { HoldfastError } from '../../base/errors.ts';
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

/** In order; every refusal is an error: `restore.failed`. Past validators: what was stored may be older than they are. */
export async function insertRaw(
  member: Member,
  database: string,
  collection: string,
  documents: readonly Uint8Array[],
): Promise<void> {
  for (let at = 0; at < documents.length; ) {
    const sequence = new DocumentSequence('documents');
    const from = at;
    for (let bytes = 0; at < documents.length && at - from < mostDocuments; at++) {
      bytes += documents[at].length;
      if (bytes > mostBytes && at > from) break;
      sequence.push(none, documents[at]);
    }
    const reply = await member.command(
      database,
      {
        insert: collection,
        documents: sequence,
        ordered: true,
        bypassDocumentValidation: true,
        writeConcern: { w: 'majority' },
      },
      `to insert into ${database}.${collection}`,
    );
    mustBeWritten(member, `${database}.${collection}`, reply, at - from);
  }
}

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
