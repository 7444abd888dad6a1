/** Collections that keep every former state of their documents, and an oplog: what a replica set of one member holds. */
import { randomUUID } from 'node:crypto';
import { type Document, deserialize, EJSON, serialize, Timestamp, UUID } from 'bson';
import { elementsOf } from './mongo-wire.ts';

interface Version {
  readonly time: bigint;
  /** `undefined` where it is deleted. */
  readonly raw: Buffer | undefined;
}

export interface StoredCollection {
  readonly uuid: UUID;
  readonly kind: 'collection' | 'view' | 'timeseries';
  options: Document;
  indexes: Document[];
  /** By raw `_id`, in the order of insertion. */
  readonly documents: Map<string, Version[]>;
}

/** One change; all changes of one `write` become visible at once. */
export interface Change {
  readonly op: 'i' | 'u' | 'd';
  readonly ns: string;
  /** i: the document. u: the new document. d: anything with the `_id`. */
  readonly raw: Buffer;
  /** u: what the oplog says. */
  readonly diff?: Document;
}

export class StandInError extends Error {
  readonly code: number;
  readonly codeName: string;
  constructor(code: number, codeName: string, message: string) {
    super(message);
    this.code = code;
    this.codeName = codeName;
  }
}

export class MongoStore {
  readonly collections = new Map<string, StoredCollection>();
  readonly oplog: { readonly time: bigint; readonly raw: Buffer }[] = [];
  time = 1_700_000_000n << 32n;

  constructor() {
    this.#log({ op: 'n', ns: '', o: { msg: 'initiating set' } });
  }

  find(ns: string): StoredCollection | undefined {
    return this.collections.get(ns);
  }

  mustFind(ns: string): StoredCollection {
    const found = this.find(ns);
    if (!found) throw new StandInError(26, 'NamespaceNotFound', `ns does not exist: ${ns}`);
    return found;
  }

  create(ns: string, options: Document = {}): StoredCollection {
    if (this.collections.has(ns)) throw new StandInError(48, 'NamespaceExists', `a collection '${ns}' already exists`);
    const [database, name] = splitNs(ns);
    const kind = options.viewOn ? 'view' : options.timeseries ? 'timeseries' : 'collection';
    const indexes = kind === 'collection' ? [{ v: 2, key: { _id: 1 }, name: '_id_' }] : [];
    const created = { uuid: new UUID(randomUUID()), kind, options, indexes, documents: new Map() } as const;
    this.collections.set(ns, { ...created });
    if (kind === 'timeseries') this.create(`${database}.system.buckets.${name}`, { clusteredIndex: true });
    this.#log({ op: 'c', ns: `${database}.$cmd`, ui: created.uuid, o: { create: name, ...options } });
    return this.mustFind(ns);
  }

  drop(ns: string): void {
    const { uuid, kind } = this.mustFind(ns);
    const [database, name] = splitNs(ns);
    this.collections.delete(ns);
    if (kind === 'timeseries') this.collections.delete(`${database}.system.buckets.${name}`);
    this.#log({ op: 'c', ns: `${database}.$cmd`, ui: uuid, o: { drop: name } });
  }

  /** `dropTarget`: a collection of the new name is dropped in the same step; what is no collection is never dropped by it. */
  rename(from: string, to: string, dropTarget = false): void {
    const moved = this.mustFind(from);
    if (moved.kind !== 'collection') throw new StandInError(166, 'CommandNotSupportedOnView', `cannot rename ${from}`);
    const target = this.find(to);
    if (target && !(dropTarget && target.kind === 'collection'))
      throw new StandInError(48, 'NamespaceExists', 'target namespace exists');
    this.collections.delete(from);
    this.collections.set(to, moved);
    this.#log({
      op: 'c',
      ns: `${splitNs(from)[0]}.$cmd`,
      ui: moved.uuid,
      o: { renameCollection: from, to, ...(target && { dropTarget: target.uuid }) },
    });
  }

  addIndex(ns: string, index: Document): void {
    const collection = this.find(ns) ?? this.create(ns);
    if (collection.indexes.some(({ name }) => name === index.name)) return;
    collection.indexes.push({ v: 2, ...index });
    this.#log({
      op: 'c',
      ns: `${splitNs(ns)[0]}.$cmd`,
      ui: collection.uuid,
      o: { createIndexes: splitNs(ns)[1], ...index },
    });
  }

  /** All or nothing, at one time. */
  write(changes: readonly Change[]): void {
    const targets = changes.map(({ op, ns, raw }) => {
      const collection = this.find(ns) ?? this.create(ns);
      const key = keyOf(raw);
      const exists = collection.documents.get(key)?.at(-1)?.raw !== undefined;
      if (op === 'i' && exists)
        throw new StandInError(11000, 'DuplicateKey', `E11000 duplicate key error collection: ${ns}`);
      return { collection, key };
    });
    const entries = changes.map(({ op, ns, raw, diff }, i) => {
      const o = op === 'i' ? deserialize(raw, { promoteValues: false }) : op === 'd' ? idOf(raw) : { $v: 2, diff };
      return { op, ns, ui: targets[i].collection.uuid, o, ...(op === 'u' && { o2: idOf(raw) }) };
    });
    this.#log(entries.length === 1 ? entries[0] : { op: 'c', ns: 'admin.$cmd', o: { applyOps: entries } });
    for (const [i, { op, raw }] of changes.entries()) {
      const { collection, key } = targets[i];
      const versions = collection.documents.get(key) ?? [];
      const isFresh = versions.at(-1)?.raw === undefined;
      versions.push({ time: this.time, raw: op === 'd' ? undefined : Buffer.from(raw) });
      // What is inserted again stands at the end, as on disk.
      if (isFresh) collection.documents.delete(key);
      collection.documents.set(key, versions);
    }
  }

  insert(ns: string, ...documents: readonly Document[]): void {
    for (const document of documents) this.write([{ op: 'i', ns, raw: Buffer.from(serialize(document)) }]);
  }

  /** A change that sets fields, for `write`. */
  setting(ns: string, id: unknown, fields: Document): Change {
    const key = keyOf(Buffer.from(serialize({ _id: id })));
    const raw = this.mustFind(ns).documents.get(key)?.at(-1)?.raw;
    if (!raw) throw new Error(`no document ${EJSON.stringify(id)} in ${ns}`);
    const changed = Buffer.from(serialize({ ...deserialize(raw, { promoteValues: false }), ...fields }));
    return { op: 'u', ns, raw: changed, diff: { u: fields } };
  }

  /** As of a time, or as it is now, in the order of insertion. */
  documents(ns: string, time?: bigint): Buffer[] {
    return [...(this.find(ns)?.documents.values() ?? [])].flatMap((versions) => {
      const raw = versions.findLast((one) => time === undefined || one.time <= time)?.raw;
      return raw ? [raw] : [];
    });
  }

  values(ns: string): Document[] {
    return this.documents(ns).map((raw) => deserialize(raw));
  }

  value(ns: string, id: unknown): Document | undefined {
    const raw = this.find(ns)
      ?.documents.get(keyOf(Buffer.from(serialize({ _id: id }))))
      ?.at(-1)?.raw;
    return raw && deserialize(raw);
  }

  /** Entries before a time are overwritten. */
  shortenOplog(keep: number): void {
    this.oplog.splice(0, Math.max(0, this.oplog.length - keep));
  }

  #log(entry: Document): void {
    this.time++;
    const ts = Timestamp.fromBits(Number(this.time & 0xffffffffn), Number(this.time >> 32n));
    const raw = Buffer.from(serialize({ ...entry, ts, t: 1n, v: 2n, wall: new Date(Number(this.time >> 32n) * 1000) }));
    this.oplog.push({ time: this.time, raw });
  }
}

export function splitNs(ns: string): [string, string] {
  const at = ns.indexOf('.');
  return [ns.slice(0, at), ns.slice(at + 1)];
}

/** Type and bytes of the `_id`. */
export function keyOf(raw: Buffer): string {
  const id = elementsOf(raw).find(({ name }) => name === '_id');
  if (!id) throw new StandInError(2, 'BadValue', 'a document without _id');
  return `${id.type} ${id.value.toString('hex')}`;
}

function idOf(raw: Buffer): Document {
  return { _id: (deserialize(raw, { promoteValues: false }) as Document)._id };
}
