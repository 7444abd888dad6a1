/** The commands of the stand-in for mongod. */
import { Binary, type Document, deserialize, EJSON, Long, serialize, type Timestamp } from 'bson';
import { elementsOf, type RawElement } from '../../src/protocols/mongodb/elements.ts';
import { type Connection, type Cursor, type MongoStandIn, timestamp } from './mongo-stand-in.ts';
import { type Change, keyOf, StandInError, splitNs } from './mongo-store.ts';
import { cursorReply, type Request, rawField, Scram } from './mongo-wire.ts';

type Run = (server: MongoStandIn, request: Request, connection: Connection) => Document | Buffer;

function hello(server: MongoStandIn): Document {
  const { standalone } = server.options;
  const opTime = { ts: timestamp(server.store.time), t: Long.fromInt(1) };
  const me = `127.0.0.1:${server.port}`;
  const set = { setName: 'rs0', setVersion: 1, hosts: [me], me, secondary: !server.isPrimary };
  const primary = server.isPrimary ? { primary: me } : {};
  return {
    helloOk: true,
    ismaster: server.isPrimary,
    isWritablePrimary: server.isPrimary,
    ...(!standalone && { ...set, ...primary, lastWrite: { opTime, majorityOpTime: opTime } }),
    maxBsonObjectSize: 16777216,
    maxMessageSizeBytes: 48000000,
    maxWriteBatchSize: 100000,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: 30,
    connectionId: 1,
    minWireVersion: 0,
    maxWireVersion: server.wireVersion,
    readOnly: false,
  };
}

function nsOf({ database, command }: Request): string {
  return `${database}.${String(Object.values(command)[0])}`;
}

function wire(
  name: string,
  server: MongoStandIn,
  cursor: Cursor,
  id: bigint,
  batchSize: number,
  more: Document,
): Buffer {
  const { documents, isDone } = cursor.next(batchSize);
  if (isDone) server.cursors.delete(id);
  const about = { id: Long.fromBigInt(isDone ? 0n : id), ns: cursor.ns, ...more };
  return cursorReply(name, documents, about, server.closing());
}

/** Takes what comes next when it is asked for: iterating a live map, a cursor sees of each document what it is by then. */
function cursorOver(ns: string, documents: Iterable<Buffer>): Cursor {
  const iterator = documents[Symbol.iterator]();
  let ahead = iterator.next();
  return {
    ns,
    next(count) {
      const taken: Buffer[] = [];
      for (; !ahead.done && taken.length < count; ahead = iterator.next()) taken.push(ahead.value);
      return { documents: taken, isDone: ahead.done === true };
    },
  };
}

function* live({ store }: MongoStandIn, ns: string, filter: Document): Generator<Buffer> {
  for (const versions of store.find(ns)?.documents.values() ?? []) {
    const raw = versions.at(-1)?.raw;
    if (raw && fits(raw, filter)) yield raw;
  }
}

function* oplogBetween({ store }: MongoStandIn, { ts }: Document): Generator<Buffer> {
  const [from, to] = [(ts.$gte as Timestamp).toBigInt(), (ts.$lte as Timestamp).toBigInt()];
  for (const { time, raw } of store.oplog) if (time >= from && time <= to) yield raw;
}

function* asOf(server: MongoStandIn, ns: string, filter: Document, time: bigint): Generator<Buffer> {
  for (const raw of server.store.documents(ns, time)) {
    if (time < server.oldestTime)
      throw new StandInError(239, 'SnapshotTooOld', 'Read timestamp is older than the oldest available');
    if (fits(raw, filter)) yield raw;
  }
}

function fits(raw: Buffer, filter: Document): boolean {
  if (Object.keys(filter).length === 0) return true;
  const document = deserialize(raw, { promoteValues: true });
  return Object.entries(filter).every(([name, wanted]) => {
    const found: unknown = document[name];
    if (wanted === null || typeof wanted !== 'object' || !Object.keys(wanted).some((key) => key.startsWith('$'))) {
      return EJSON.stringify({ x: found }) === EJSON.stringify({ x: wanted });
    }
    return Object.entries(wanted as Document).every(([operator, bound]) => compares(found, operator, bound));
  });
}

function compares(found: unknown, operator: string, bound: unknown): boolean {
  if (operator === '$in') return (bound as unknown[]).some((one) => one === found);
  throw new StandInError(2, 'BadValue', `unknown operator: ${operator}`);
}

function find(server: MongoStandIn, request: Request): Buffer {
  const { command } = request;
  const ns = nsOf(request);
  const filter = (command.filter ?? {}) as Document;
  const concern = (command.readConcern ?? {}) as Document;
  const cursor = openCursor(server, ns, filter, concern);
  const id = server.addCursor(cursor);
  const more = concern.level === 'snapshot' ? { atClusterTime: concern.atClusterTime as Timestamp } : {};
  const most = Math.min(server.batchDocuments, Number(command.batchSize ?? 101), Number(command.limit ?? Infinity));
  const reply = wire('firstBatch', server, cursor, id, most, more);
  if (command.limit !== undefined) server.cursors.delete(id);
  return command.limit === undefined ? reply : endOf(reply);
}

/** With a limit there is no more to get. */
function endOf(reply: Buffer): Buffer {
  const cursor = rawField(reply, 'cursor')!;
  rawField(cursor, 'id')!.fill(0);
  return reply;
}

function openCursor(server: MongoStandIn, ns: string, filter: Document, concern: Document): Cursor {
  if (ns === 'local.oplog.rs') return cursorOver(ns, oplogBetween(server, filter));
  if (concern.level !== 'snapshot') return cursorOver(ns, live(server, ns, filter));
  if (server.options.standalone) throw new StandInError(123, 'NotAReplicaSet', 'snapshot reads need a replica set');
  if (server.store.find(ns)?.options.capped)
    throw new StandInError(246, 'SnapshotUnavailable', 'capped collections have no snapshots');
  const time = (concern.atClusterTime as Timestamp).toBigInt();
  if (time > server.store.time) throw new StandInError(72, 'InvalidOptions', 'atClusterTime is in the future');
  return cursorOver(ns, asOf(server, ns, filter, time));
}

function getMore(server: MongoStandIn, { command }: Request): Buffer {
  const id = BigInt(command.getMore as bigint);
  const cursor = server.cursors.get(id);
  if (!cursor) throw new StandInError(43, 'CursorNotFound', `cursor id ${id} not found`);
  return wire('nextBatch', server, cursor, id, server.batchDocuments, {});
}

function listed(ns: string, server: MongoStandIn, documents: readonly Document[]): Buffer {
  const raw = documents.map((one) => Buffer.from(serialize(one)));
  return cursorReply('firstBatch', raw, { id: Long.ZERO, ns }, server.closing());
}

function listCollections(server: MongoStandIn, { database }: Request): Buffer {
  const found = [...server.store.collections].filter(([ns]) => splitNs(ns)[0] === database);
  const documents = found.map(([ns, { kind, options, uuid }]) => ({
    name: splitNs(ns)[1],
    type: kind,
    options,
    info: { readOnly: kind === 'view', ...(kind !== 'view' && { uuid: uuid.toBinary() }) },
    ...(kind === 'collection' && { idIndex: { v: 2, key: { _id: 1 }, name: '_id_' } }),
  }));
  return listed(`${database}.$cmd.listCollections`, server, documents);
}

function insert(server: MongoStandIn, request: Request): Document {
  mustBePrimary(server);
  const { bypassEmptyTsReplacement } = request.command;
  if (bypassEmptyTsReplacement !== undefined && server.wireVersion < 13)
    throw new StandInError(40415, 'Location40415', "BSON field 'insert.bypassEmptyTsReplacement' is an unknown field.");
  const ns = nsOf(request);
  const { options } = server.store.find(ns) ?? { options: {} };
  let n = 0;
  for (const [index, raw] of request.sequences.get('documents')!.entries()) {
    try {
      if (request.command.bypassDocumentValidation !== true) validate(raw, options);
      server.store.write([{ op: 'i', ns, raw: bypassEmptyTsReplacement === true ? raw : stamped(server, raw) }]);
      n++;
    } catch (error) {
      if (!(error instanceof StandInError)) throw error;
      return { n, writeErrors: [{ index, code: error.code, errmsg: error.message }] };
    }
  }
  return { n };
}

/** Empty timestamps of a document itself, but for its `_id`, become the present time. */
function stamped(server: MongoStandIn, raw: Buffer): Buffer {
  const isEmpty = ({ type, name, value }: RawElement): boolean =>
    type === 17 && name !== '_id' && value.every((byte) => byte === 0);
  const copy = Buffer.from(raw);
  for (const { value } of elementsOf(copy).filter(isEmpty)) value.writeBigUInt64LE(server.store.time + 1n);
  return copy;
}

/** Of validators, only `$jsonSchema: {required}` is known here. */
function validate(raw: Buffer, { validator }: Document): void {
  const required = (validator as Document | undefined)?.$jsonSchema?.required as string[] | undefined;
  const missing = required?.find((name) => rawField(raw, name) === undefined);
  if (missing !== undefined)
    throw new StandInError(121, 'DocumentValidationFailure', `Document failed validation: ${missing}`);
}

function update(server: MongoStandIn, request: Request): Document {
  mustBePrimary(server);
  const ns = nsOf(request);
  for (const raw of request.sequences.get('updates')!) {
    const { q, u } = deserialize(raw, { promoteValues: false }) as { q: Document; u: Document };
    server.store.write([server.store.setting(ns, q._id, u.$set as Document)]);
  }
  return { n: request.sequences.get('updates')!.length, nModified: 1 };
}

function mustBePrimary({ isPrimary }: MongoStandIn): void {
  if (!isPrimary) throw new StandInError(10107, 'NotWritablePrimary', 'not primary');
}

function applyOps(server: MongoStandIn, { sequences }: Request): Document {
  mustBePrimary(server);
  const operations = sequences.get('applyOps')!;
  for (const raw of operations) applyOne(server, raw);
  return { applied: operations.length, results: operations.map(() => true) };
}

function applyOne({ store }: MongoStandIn, raw: Buffer): void {
  const { op, ns, o, ui } = deserialize(raw, { promoteValues: false }) as Document;
  const object = rawField(raw, 'o')!;
  if (ui !== undefined) throw new StandInError(26, 'NamespaceNotFound', 'no collection of that UUID');
  if (op === 'c') applyCommand(store, String(ns), o as Document);
  const exists = (key: Buffer): boolean => store.find(String(ns))?.documents.get(keyOf(key))?.at(-1)?.raw !== undefined;
  if (op === 'd') {
    if (exists(object)) store.write([{ op: 'd', ns: String(ns), raw: object }]);
  } else if (op === 'i') {
    store.write([{ op: exists(object) ? 'u' : 'i', ns: String(ns), raw: object, diff: {} } as Change]);
  } else if (op === 'u') {
    const id = rawField(raw, 'o2')!;
    const diff = (o as Document).diff as Document;
    // As with a document that was deleted later on: there is nothing to update, and the delete will come.
    if (exists(id))
      store.write([
        store.setting(String(ns), (deserialize(id, { promoteValues: false }) as Document)._id, diff.u as Document),
      ]);
  }
}

function applyCommand(store: MongoStandIn['store'], ns: string, o: Document): void {
  const { create, drop, ...options } = o;
  const [database] = splitNs(ns);
  if (create !== undefined && !store.find(`${database}.${String(create)}`))
    store.create(`${database}.${String(create)}`, options);
  if (drop !== undefined && store.find(`${database}.${String(drop)}`)) store.drop(`${database}.${String(drop)}`);
}

function create(server: MongoStandIn, request: Request): Document {
  mustBePrimary(server);
  const { create: name, ...rest } = deserialize(request.rawCommand, { promoteValues: false }) as Document;
  const options = Object.fromEntries(Object.entries(rest).filter(([key]) => !/^(?:\$|lsid|writeConcern)/.test(key)));
  server.store.create(`${request.database}.${String(name)}`, options);
  return {};
}

function createIndexes(server: MongoStandIn, request: Request): Document {
  mustBePrimary(server);
  const { indexes } = deserialize(request.rawCommand, { promoteValues: false }) as { indexes: Document[] };
  for (const index of indexes) server.store.addIndex(nsOf(request), index);
  return { numIndexesBefore: 1, numIndexesAfter: 1 + indexes.length };
}

function mergeAccounts({ store }: MongoStandIn, { command }: Request): Document {
  for (const [key, to] of [
    ['tempUsersCollection', 'admin.system.users'],
    ['tempRolesCollection', 'admin.system.roles'],
  ]) {
    if (command[key] === undefined || command[key] === '') continue;
    for (const raw of store.documents(String(command[key]))) {
      const exists = store.find(to)?.documents.get(keyOf(raw))?.at(-1)?.raw !== undefined;
      if (!exists) store.write([{ op: 'i', ns: to, raw }]);
    }
  }
  return {};
}

function saslStart(server: MongoStandIn, { command }: Request, connection: Connection): Document {
  if (command.mechanism !== 'SCRAM-SHA-256') throw new StandInError(2, 'BadValue', 'mechanism is not supported');
  const payload = (command.payload as Binary).buffer;
  const text = Buffer.from(payload).toString('utf8');
  const user = Scram.userOf(text);
  const password = server.options.users?.[user];
  if (password === undefined) throw new StandInError(18, 'AuthenticationFailed', 'Authentication failed.');
  connection.scram = new Scram(password);
  return { conversationId: 1, done: false, payload: new Binary(Buffer.from(connection.scram.first(text))) };
}

function saslContinue(_: MongoStandIn, { command }: Request, connection: Connection): Document {
  const text = Buffer.from((command.payload as Binary).buffer).toString('utf8');
  if (text === '') return { conversationId: 1, done: true, payload: new Binary(Buffer.alloc(0)) };
  const signature = connection.scram?.last(text);
  if (signature === undefined) throw new StandInError(18, 'AuthenticationFailed', 'Authentication failed.');
  connection.user = 'someone';
  return { conversationId: 1, done: true, payload: new Binary(Buffer.from(signature)) };
}

export const commands: Readonly<Record<string, Run>> = {
  hello,
  isMaster: hello,
  ismaster: hello,
  ping: () => ({}),
  endSessions: () => ({}),
  buildInfo: ({ version }) => ({ version, versionArray: version.split('.').map(Number), gitVersion: 'stand-in' }),
  listDatabases({ store, options: { visible } }, { command }) {
    const names = [...new Set([...store.collections.keys()].map((ns) => splitNs(ns)[0])), 'local', 'config'];
    if (visible && command.authorizedDatabases === false)
      throw new StandInError(13, 'Unauthorized', 'not authorized on admin to execute command listDatabases');
    return { databases: names.filter((name) => visible?.includes(name) ?? true).map((name) => ({ name })) };
  },
  listCollections,
  listIndexes: (server, request) => listed(nsOf(request), server, server.store.mustFind(nsOf(request)).indexes),
  dbStats: ({ store }, { database }) => ({
    dataSize: [...store.collections.keys()]
      .filter((ns) => splitNs(ns)[0] === database)
      .flatMap((ns) => store.documents(ns))
      .reduce((sum, raw) => sum + raw.length, 0),
  }),
  count: ({ store }, request) => ({ n: store.documents(nsOf(request)).length }),
  find,
  getMore,
  killCursors(server, { command }) {
    const ids = (command.cursors as bigint[]).map(BigInt);
    for (const id of ids) server.cursors.delete(id);
    return {
      cursorsKilled: ids.map((id) => Long.fromBigInt(id)),
      cursorsNotFound: [],
      cursorsAlive: [],
      cursorsUnknown: [],
    };
  },
  insert,
  update,
  applyOps,
  create,
  createIndexes,
  drop(server, request) {
    mustBePrimary(server);
    server.store.drop(nsOf(request));
    return {};
  },
  renameCollection(server, { command }) {
    mustBePrimary(server);
    server.store.rename(String(command.renameCollection), String(command.to), command.dropTarget === true);
    return {};
  },
  _mergeAuthzCollections: mergeAccounts,
  saslStart,
  saslContinue,
};
