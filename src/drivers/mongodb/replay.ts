/** Brings collections that were read one after another to one instant: everything written meanwhile is done again, in order. */
import { type Document, deserialize, serialize } from 'bson';
import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { elementsOf, orderedValue, rawDocuments, rawField } from '../../protocols/mongodb/elements.ts';
import type { Member } from './connect.ts';
import { isOwn } from './oplog.ts';

/** Where changes of a namespace go; `undefined` for one that is not restored. */
export type MapNamespace = (database: string, collection: string) => string | undefined;

/**
 * Transactions are applied when they commit: their entries before that are kept until then. Every change sets a state
 * rather than changes one, so that it does no harm where the collection was read after it.
 */
export class Replay {
  applied = 0;
  readonly #member: Member;
  readonly #map: MapNamespace;
  readonly #open = new Map<string, Buffer[]>();

  constructor(member: Member, map: MapNamespace) {
    this.#member = member;
    this.#map = map;
  }

  /** One entry of the oplog. */
  async add(raw: Buffer): Promise<void> {
    const entry = deserialize(raw) as Document;
    if (entry.op === 'n' || isOwn(String(entry.ns))) return;
    if (entry.op !== 'c') return await this.#apply(raw);
    const [command] = Object.keys(entry.o as Document);
    if (command === 'applyOps') return await this.#applyAll(raw, entry);
    const transaction = transactionOf(entry);
    if (command === 'abortTransaction' && transaction !== undefined) this.#open.delete(transaction);
  }

  async #applyAll(raw: Buffer, entry: Document): Promise<void> {
    const operations = rawDocuments(rawField(raw, 'o')!, 'applyOps');
    const transaction = transactionOf(entry);
    const before = (transaction !== undefined && this.#open.get(transaction)) || [];
    const all = [...before, ...operations];
    if (transaction !== undefined) this.#open.delete(transaction);
    if (transaction !== undefined && (entry.o as Document).partialTxn === true) {
      this.#open.set(transaction, all);
      return;
    }
    for (const one of all) await this.#apply(one);
  }

  async #apply(raw: Buffer): Promise<void> {
    const { op, ns, o, o2 } = deserialize(raw, { promoteValues: false }) as Document;
    if (op === 'c') return await this.add(raw);
    const [database, collection] = splitNamespace(String(ns));
    const target = op === 'i' || op === 'u' || op === 'd' ? this.#map(database, collection) : undefined;
    if (target === undefined) return;
    // What is gone by now is deleted later in the log, too: there is nothing to update.
    if (op === 'u' && !(await this.#exists(database, target, (o2 ?? o) as Document))) return;
    const operation = new Map<string, unknown>([
      ['op', op],
      ['ns', `${database}.${target}`],
      ...elementsOf(raw)
        .filter(({ name }) => name === 'o' || name === 'o2')
        .map(({ name, value }): [string, unknown] => [name, exactly(value, String(ns))]),
    ]);
    await this.#command(database, operation);
  }

  async #exists(database: string, collection: string, { _id }: Document): Promise<boolean> {
    const { cursor } = await this.#member.command(database, {
      find: collection,
      filter: { _id },
      limit: 1,
      projection: { _id: 1 },
    });
    return (cursor as { firstBatch: unknown[] }).firstBatch.length > 0;
  }

  async #command(database: string, operation: Map<string, unknown>): Promise<void> {
    const reply = await this.#member.command('admin', { applyOps: [operation] }, `to replay the oplog of ${database}`);
    const results = (reply.results ?? []) as unknown[];
    this.applied++;
    if (results.every((one) => one === true)) return;
    throw new HoldfastError({
      code: 'restore.failed',
      message: `${this.#member.title} did not replay a change of ${String(operation.get('ns'))}`,
      remedy: 'Look at the log of the server, and restore again.',
    });
  }
}

function transactionOf({ lsid, txnNumber }: Document): string | undefined {
  if (lsid === undefined || txnNumber === undefined) return undefined;
  return JSON.stringify([String((lsid as Document).id), String(txnNumber)]);
}

/** The client serialises it to the very bytes of the log, or it is refused. */
function exactly(raw: Buffer, ns: string): Map<string, unknown> {
  const value = orderedValue(raw);
  if (equalBytes(serialize(value), raw)) return value;
  throw new HoldfastError({
    code: 'restore.failed',
    message: `a change of ${ns} in the oplog has a field twice and cannot be replayed as it is`,
    remedy: 'Download the archive and restore it with mongorestore --archive --oplogReplay.',
  });
}

export function splitNamespace(namespace: string): [string, string] {
  const at = namespace.indexOf('.');
  return [namespace.slice(0, at), namespace.slice(at + 1)];
}
